use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{AgentId, Epoch};
use crate::name::Name;

/// Which history a broker's database is, and which ones it continues.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Epochs {
    /// Its own.
    pub current: Epoch,
    /// Those that operators declared it to continue, the oldest acceptance first. Agents that followed one of them
    /// follow this broker.
    pub accepted: Vec<AcceptedEpoch>,
    /// Those that this one took the place of, because an agent proved that the database does not have all of them,
    /// the oldest first. Agents that followed one hold what they run until it is accepted.
    #[serde(default)]
    pub lost: Vec<LostEpoch>,
}

impl Epochs {
    /// The lost histories that nobody has accepted: agents that followed one hold what they run.
    pub fn waiting(&self) -> impl Iterator<Item = &LostEpoch> {
        self.lost.iter().filter(|lost| {
            let mut accepted = self.accepted.iter();
            !accepted.any(|accepted| accepted.epoch == lost.epoch)
        })
    }
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

/// A history of which the database does not have all: it was restored, or replaced by one that was behind.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct LostEpoch {
    /// The history.
    pub epoch: Epoch,
    /// When an agent proved it.
    pub lost_at: Timestamp,
    /// The revision at which the broker's present history took its place, which finds it in the audit.
    pub revision: u64,
    /// The agent that proved it.
    pub agent: AgentId,
    /// Its name. Brokers of version 0.1.0 do not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_name: Option<Name>,
    /// The revision that this agent had been told of.
    pub told: u64,
}
