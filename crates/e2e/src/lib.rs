//! The stage on which the real binary plays: brokers and agents as processes, databases on both
//! engines, a real Kubernetes API, and the faults that happen between them.
//!
//! Every story gets a database, keys and namespaces of its own, so that stories run side by side.

mod agent;
mod api_front;
mod authority;
mod binary;
mod broker;
mod bystanders;
mod cli;
mod cluster;
pub mod cpu;
mod database;
mod disk;
mod event;
mod eventually;
mod impostor;
mod leaks;
pub mod manifests;
mod own_server;
mod proxy;
mod random;
mod raw;
mod ready;
mod rows;
mod schema;
mod small_disk;
mod stack;
mod stage;
mod tunnel;
mod wire;
mod world;

pub use agent::{AgentProcess, Pace};
pub use api_front::{ApiFront, Asked, Weather};
pub use authority::{Authority, Issued};
pub use binary::{Build, Process, brokkr, repository};
pub use broker::Broker;
pub use bystanders::Bystanders;
pub use cli::{Cli, Said};
pub use cluster::{Cluster, Version};
pub use database::{Database, Engine};
pub use disk::{Act, Disk, Fault, Kind, Platter, Step};
pub use event::event;
pub use eventually::{PATIENCE, eventually, hold};
pub use impostor::{Impostor, Lie};
pub use own_server::OwnServer;
pub use proxy::{Proxy, Route};
pub use random::{below, millis_up_to, shuffle, unique};
pub use raw::{Answer, Raw};
pub use ready::why_not_ready;
pub use schema::Table;
pub use small_disk::SmallDisk;
pub use stack::TestStack;
pub use stage::{Failure, Stage, perform};
pub use tunnel::Tunnel;
pub use wire::{Spoken, speak, speak_again};
pub use world::World;
