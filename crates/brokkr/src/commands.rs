//! One file a command: its flags, and what it does.

pub mod agent;
pub mod apply;
pub mod audit;
pub mod broker;
pub mod completion;
pub mod context;
pub mod describe;
pub mod dev;
pub mod diff;
pub mod doctor;
pub mod epochs;
pub mod events;
pub mod explain;
pub mod generator;
pub mod history;
pub mod key;
pub mod login;
pub mod logs;
pub mod removals;
pub mod rollback;
pub mod rotate_key;
pub mod settings;
pub mod simulate;
pub mod stack;
pub mod status;
pub mod sync;
pub mod wait;
pub mod whoami;
pub mod window;

mod advice;
mod ask;
mod new_key;
mod plan;
mod pulse;
mod removal;
mod traits;
