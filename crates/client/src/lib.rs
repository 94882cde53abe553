//! Typed HTTP client of the Brokkr API, for the agent, the command line and the tests.

mod agent;
mod authorities;
mod connection;
mod decompressors;
mod direct;
mod epochs;
mod error;
mod fault;
mod key;
mod keys;
mod operator;
mod probe;
mod requests;
mod settings;
mod transport;
mod watch;
mod windows;

pub use agent::Poll;
pub use authorities::Authorities;
pub use connection::{Client, PlainHttp};
pub use error::Error;
pub use fault::Fault;
pub use keys::KeyFilter;
pub use operator::{EventFilter, Retirement};
pub use probe::{Probe, Seen};
pub use transport::Transport;
pub use watch::{Told, Watch, WatchFilter};

/// What a request to the broker comes to.
pub type Result<T> = std::result::Result<T, Error>;
