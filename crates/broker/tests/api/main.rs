//! The broker as its callers see it: the real router on a real socket, on both engines.

mod audit;
mod away;
mod editing;
mod epochs;
mod harness;
mod held;
mod keys;
mod lost_history;
mod model;
mod openapi;
mod pauses;
mod permissions;
mod plans;
mod polls;
mod private;
mod protocol;
mod publishing;
mod repeating;
mod request_ids;
mod rules;
mod sessions;
mod settings;
mod status;
mod targeting;
mod undelete;
mod values;
