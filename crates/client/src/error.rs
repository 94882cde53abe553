use std::time::Duration;

use brokkr_core::id::AgentId;
use brokkr_core::wire::{Code, Problem};

/// Why a request did not come to an answer that counts.
///
/// For an agent they all mean the same: carry on with what was accepted last.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The broker refused the request and says why.
    #[error("{}", .0.detail)]
    Refused(Box<Problem>),
    /// Something answered that is not a broker, or is one in trouble.
    #[error(
        "the server answered {status}, which is not an answer of a Brokkr broker: is the address right?"
    )]
    NotABroker {
        /// The HTTP status.
        status: u16,
    },
    /// The answer goes on and on.
    #[error(
        "the server at {server} answers with more than {limit} bytes, which no Brokkr broker does: is the address right?"
    )]
    TooLong {
        /// The broker's address.
        server: String,
        /// How many bytes are read at most.
        limit: usize,
    },
    /// There was no whole answer.
    #[error("the broker at {server} cannot be reached: {cause}")]
    Unreachable {
        /// The broker's address.
        server: String,
        /// Why.
        cause: String,
    },
    /// Something answered that does not prove to be the broker.
    #[error("the broker at {server} is not to be trusted: {cause}")]
    Untrusted {
        /// The broker's address.
        server: String,
        /// Why, and what to do behind the first colon.
        cause: String,
    },
    /// The address or the key cannot be used.
    #[error("{0}")]
    Setup(String),
}

impl Error {
    /// The broker's own code for it, if it was the broker that refused.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused(problem) => Some(problem.code),
            _ => None,
        }
    }

    /// The agent that was retired, if the broker says so, and not somebody in between.
    pub fn retired_agent(&self) -> Option<AgentId> {
        match self {
            Self::Refused(problem) if problem.code == Code::AgentRetired => problem.agent,
            _ => None,
        }
    }

    /// How long the broker asks to wait before the request is repeated.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(problem) => problem.retry_after.map(Duration::from_secs),
            _ => None,
        }
    }

    /// Whether there is no such thing, or not for this key.
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(Code::NotFound)
    }
}
