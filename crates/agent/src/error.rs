use std::time::Duration;

use brokkr_core::Digest;
use brokkr_core::manifest::ManifestError;

/// Why something did not work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The agent cannot begin; waiting does not help.
    #[error("{0}")]
    Setup(String),
    /// The broker did not answer, or refused.
    #[error(transparent)]
    Broker(#[from] brokkr_client::Error),
    /// There is no session with the broker yet, so nothing can be asked of it.
    #[error("the broker was not reached since the agent began: this is done when it is back")]
    NoSession,
    /// The API server refused a request.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The API server did not answer.
    #[error("the API server cannot be reached: {0}")]
    Unreachable(String),
    /// The API server's answer, or the way to ask, makes no sense.
    #[error("the API server's answer cannot be read: {0}")]
    Unreadable(String),
    /// A write that the agent's lease does not cover.
    #[error(
        "the agent's lease ends too soon for this write: nothing is written until it is renewed"
    )]
    NotAlone,
    /// What the broker sent is not what its digest names.
    #[error("the content received has the digest {received}, but {expected} was announced")]
    WrongContent {
        /// What the target state says.
        expected: Digest,
        /// What came.
        received: Digest,
    },
    /// A write where only reading was meant.
    #[error("this would be a write, and only reading was meant: nothing is written")]
    ReadOnly,
    /// A write of an attempt that was stopped meanwhile.
    #[error("this was not written any more: the order for it was taken back")]
    Stopped,
    /// The content is no snapshot.
    #[error(transparent)]
    Manifests(#[from] ManifestError),
    /// What the Secrets of a stack hold is not known, so it cannot be taken out of what was asked for.
    #[error(
        "nothing is told, because what the stack's Secrets hold cannot be taken out of it: {0}"
    )]
    SecretsUnknown(String),
    /// The agent's own records in the cluster cannot be used.
    #[error("the agent's records in the cluster cannot be used: {0}")]
    Records(String),
}

/// A refusal of the API server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({status})")]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Its words. They may quote what was sent, so for a Secret they go nowhere.
    pub message: String,
    /// The object of which it says that it does not exist.
    pub absent: Option<String>,
    /// Whether it is for want of a right of the service account that a stack acts as, and said in words of ours, which quote
    /// nothing of what was sent.
    pub is_of_rights: bool,
    /// The fields that cannot be changed, if that is all that it has against the object.
    pub immutable: Vec<String>,
}

impl Error {
    /// How long the broker asks to wait, if it was the broker.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Broker(error) => error.retry_after(),
            _ => None,
        }
    }

    /// The HTTP status with which the API server refused.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(refusal) => Some(refusal.status),
            _ => None,
        }
    }

    /// Whether the API server could not, whatever it was asked.
    pub(crate) fn is_trouble(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Unreadable(_) => true,
            _ => self
                .status()
                .is_some_and(|status| status == 429 || status >= 500),
        }
    }

    /// Whether another writer was faster.
    pub(crate) fn is_conflict(&self) -> bool {
        self.status() == Some(409)
    }

    /// The fields that cannot be changed, if nothing else is wrong.
    pub(crate) fn immutable(&self) -> &[String] {
        match self {
            Self::Refused(refusal) => &refusal.immutable,
            _ => &[],
        }
    }

    /// Whether the agent may not.
    pub(crate) fn is_forbidden(&self) -> bool {
        self.status() == Some(403)
    }

    /// Whether the service account that a stack acts as may not, in words of ours.
    pub(crate) fn is_of_an_account(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.is_of_rights)
    }

    /// Whether there is no such thing.
    pub(crate) fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }
}
