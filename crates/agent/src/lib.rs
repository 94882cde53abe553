//! The cluster side of Brokkr: makes the target state of one agent real in one cluster.
//!
//! The verbs have one file each: `fetch`, `validate`, `plan`, `apply`, `prune`, `observe`, `report`.
//! [`reconcile`] is their list for one stack, `stacks` runs one task per stack, so that a broken one
//! delays no other, `watches` sees what others do to its objects, `inventory` remembers in the cluster what is ours, and
//! `cache` on this side of the broker what was to be done.

mod adopt;
mod announce;
mod apply;
mod brake;
mod cache;
mod cluster;
mod course;
mod drift;
mod environment;
mod error;
mod facts;
mod fetch;
mod guard;
mod inventory;
mod lease;
mod monitor;
mod observe;
mod outcome;
mod plan;
mod prune;
pub mod reconcile;
mod redact;
mod report;
mod requests;
mod run;
mod session;
mod settings;
mod stacks;
mod validate;
mod watches;

pub use cache::Cache;
pub use cluster::connect;
pub use environment::{ConfigurationError, Environment};
pub use error::{Error, Refusal};
pub use monitor::Monitor;
pub use run::run;
pub use settings::Settings;
