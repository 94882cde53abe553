use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::Epoch;

/// Which history a broker's database is, and which ones it continues.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Epochs {
    /// Its own.
    pub current: Epoch,
    /// Those that operators declared it to continue, the oldest acceptance first. Agents that followed one of them
    /// follow this broker.
    pub accepted: Vec<AcceptedEpoch>,
}

/// A history that a broker continues, because an operator says so.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct AcceptedEpoch {
    /// The history.
    pub epoch: Epoch,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// The revision of the acceptance, which finds it in the audit.
    pub revision: u64,
}
