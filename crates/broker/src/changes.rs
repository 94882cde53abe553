//! What can be changed, one type a change: its fields are what was asked, its `apply` decides and writes.
//!
//! Everything that a decision rests on is read inside of `apply`, in the writer's transaction.

pub(crate) mod agents;
pub(crate) mod epochs;
pub(crate) mod generators;
pub(crate) mod guard;
pub(crate) mod heartbeats;
pub(crate) mod keys;
pub(crate) mod losses;
pub(crate) mod publish;
mod quota;
pub(crate) mod removals;
pub(crate) mod reports;
pub(crate) mod requests;
pub(crate) mod retention;
pub(crate) mod retire;
pub(crate) mod sessions;
pub(crate) mod settings;
pub(crate) mod sign_ins;
pub(crate) mod stacks;
mod targeting;
pub(crate) mod targets;
pub(crate) mod undelete;
pub(crate) mod windows;
