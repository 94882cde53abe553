use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Health, Sync, TargetStatus, Workloads};
use crate::labels::Labels;
use crate::{AgentId, AgentTargetId, Name, StackId};

/// An agent at a glance: how it is itself, and how many of its stacks are how.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Glance {
    /// The agent.
    pub id: AgentId,
    /// Its name.
    pub name: Name,
    /// What operators say of it.
    #[serde(default)]
    pub labels: Labels,
    /// Whether it only looks, and changes nothing in its cluster.
    #[serde(default)]
    pub paused: bool,
    /// Whether it is retiring, and what becomes of what it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retiring: Option<Workloads>,
    /// The version that opened its last session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// When it polled last; absent if never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
    /// Whether it has been quiet for longer than three of its intervals.
    pub silent: bool,
    /// Its stacks, to a generator its own.
    #[serde(default)]
    pub stacks: StackCounts,
}

/// How many stacks of an agent are how. What is not there is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct StackCounts {
    /// Not begun, or nothing has been published.
    #[serde(default, skip_serializing_if = "is_none")]
    pub pending: u32,
    /// Under way.
    #[serde(default, skip_serializing_if = "is_none")]
    pub applying: u32,
    /// The cluster has what is desired.
    #[serde(default, skip_serializing_if = "is_none")]
    pub synced: u32,
    /// The last attempt failed.
    #[serde(default, skip_serializing_if = "is_none")]
    pub failed: u32,
    /// Stopped until somebody decides.
    #[serde(default, skip_serializing_if = "is_none")]
    pub held: u32,
    /// Being taken out of the cluster.
    #[serde(default, skip_serializing_if = "is_none")]
    pub removing: u32,
    /// The agent has been silent for too long to know.
    #[serde(default, skip_serializing_if = "is_none")]
    pub unknown: u32,
    /// Of all of these, those of which an object cannot become what it should be.
    #[serde(default, skip_serializing_if = "is_none")]
    pub degraded: u32,
    /// Of all of these, those of which an object is on its way.
    #[serde(default, skip_serializing_if = "is_none")]
    pub progressing: u32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
const fn is_none(count: &u32) -> bool {
    *count == 0
}

impl StackCounts {
    /// Counts one more.
    pub const fn add(&mut self, sync: Sync, health: Health) {
        let of_sync = match sync {
            Sync::Pending => &mut self.pending,
            Sync::Applying => &mut self.applying,
            Sync::Synced => &mut self.synced,
            Sync::Failed => &mut self.failed,
            Sync::Held => &mut self.held,
            Sync::Removing => &mut self.removing,
            Sync::Unknown => &mut self.unknown,
        };
        *of_sync += 1;
        match health {
            Health::Degraded => self.degraded += 1,
            Health::Progressing => self.progressing += 1,
            Health::Current | Health::Unknown => {}
        }
    }
}

/// A stack at an agent: why it is there, and how it is doing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct StackAtAgent {
    /// The agent target.
    pub target: AgentTargetId,
    /// The stack.
    pub stack: StackId,
    /// The stack's name.
    pub stack_name: Name,
    /// The generator that owns the stack; absent if the operators do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<Name>,
    /// Whether somebody named agent and stack.
    pub direct: bool,
    /// A rule of the stack that matches the agent, as a text; absent if none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Since when the agent is responsible for it.
    pub since: Timestamp,
    /// When the agent said last how it is doing; absent before it has said anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_at: Option<Timestamp>,
    /// How it is doing.
    #[serde(flatten)]
    pub status: TargetStatus,
}
