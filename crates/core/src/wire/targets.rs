use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::pause::Paused;
use super::stacks::OnRemove;
use super::target_state::Approval;
use crate::Digest;
use crate::id::{AgentId, AgentTargetId, StackId};
use crate::name::{Name, Reference};
use crate::object::{KeptKind, ObjectKey};

/// The link between an agent and a stack: the agent is responsible for the stack in its cluster.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct AgentTarget {
    /// Its id.
    pub id: AgentTargetId,
    /// The agent.
    pub agent: AgentId,
    /// The agent's name.
    pub agent_name: Name,
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
    /// Whether the agent no longer reports the facts that the rule asks for. It keeps what it has: a fact
    /// admits, and never removes.
    #[serde(default)]
    pub ineligible: bool,
    /// Since when.
    pub created_at: Timestamp,
}

/// Targets an agent directly.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateAgentTarget {
    /// The agent, by id or name.
    #[schema(value_type = String, examples("eu-west-1"))]
    pub agent: Reference,
    /// The stack, by id or name.
    #[schema(value_type = String, examples("checkout", "ci:checkout"))]
    pub stack: Reference,
}

/// What an agent is to take out of its cluster: a stack, until it confirms that, or objects that a snapshot no longer
/// has, while it holds their loss.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Removal {
    /// The agent target that ended, or whose loss is held.
    pub id: AgentTargetId,
    /// The agent.
    pub agent: AgentId,
    /// The agent's name.
    pub agent_name: Name,
    /// The stack.
    pub stack: StackId,
    /// The stack's name.
    pub stack_name: Name,
    /// The generator that owns the stack; absent if the operators do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<Name>,
    /// When the stack itself was deleted; absent while it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack_deleted_at: Option<Timestamp>,
    /// What happens to the objects.
    pub policy: OnRemove,
    /// Kept kinds whose objects are deleted too.
    pub allow_delete: Vec<KeptKind>,
    /// The revision of the change that ended the target; absent if it is a snapshot that has less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// When the target ended, or when the agent said that it holds the loss.
    pub since: Timestamp,
    /// Who said yes to the loss, if somebody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Approval>,
    /// What the agent holds until somebody approves or refuses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
}

/// How far an agent is with what it should run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, ToSchema)]
pub enum Sync {
    /// Not begun, or nothing has been published.
    Pending,
    /// Under way.
    Applying,
    /// The cluster has what is desired.
    Synced,
    /// The last attempt failed; it is repeated until it works or is superseded.
    Failed,
    /// Stopped until somebody decides.
    Held,
    /// Being taken out of the cluster.
    Removing,
    /// The agent has been silent for too long to know.
    Unknown,
}

impl Sync {
    /// How far an agent is, and how that is doing, as far as it is still known of one that may be silent.
    #[must_use]
    pub const fn observed(self, health: Health, silent: bool) -> (Self, Health) {
        match self {
            _ if !silent => (self, health),
            // That a removal or a first apply has not been confirmed is the broker's own knowledge.
            Self::Removing | Self::Pending => (self, Health::Unknown),
            _ => (Self::Unknown, Health::Unknown),
        }
    }
}

/// How what was applied is doing in the cluster: that of the object that does worst.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, ToSchema,
)]
pub enum Health {
    /// Every object is as it should be.
    Current,
    /// Some object is on its way.
    Progressing,
    /// Nothing is known, or of some object nothing.
    Unknown,
    /// Some object cannot become what it should be.
    Degraded,
}

/// The state of one agent target.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TargetStatus {
    /// The agent.
    pub agent: AgentId,
    /// The agent's name.
    pub agent_name: Name,
    /// The sequence that should run; absent if nothing was published or the target is being removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<u64>,
    /// The sequence that was last applied whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<u64>,
    /// How far the agent is.
    pub sync: Sync,
    /// How what was applied is doing.
    pub health: Health,
    /// Whether the agent no longer reports the facts that the stack's rule asks for.
    #[serde(default)]
    pub ineligible: bool,
    /// By what it is paused, if it is: nothing of it is changed until that is resumed.
    #[serde(default, skip_serializing_if = "Paused::is_nothing")]
    pub paused: Paused,
    /// Why, if there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The loss that the agent holds until somebody approves or refuses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// When the agent was last heard of. It reports a change as soon as it sees one, and looks at the health of
    /// what is done at least every five minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Timestamp>,
}

impl TargetStatus {
    /// The status as far as it is still true: what a silent agent said last is not known any more.
    #[must_use]
    pub fn observed(mut self, at: Option<Timestamp>, silent: bool) -> Self {
        self.observed_at = at;
        (self.sync, self.health) = self.sync.observed(self.health, silent);
        if silent {
            self.held = None;
            self.reason = Some(match at {
                Some(at) => format!("the agent has been silent since {at}"),
                None => "the agent has never polled".to_owned(),
            });
        }
        self
    }
}

/// What an agent reports of its stacks. Stacks that are not listed keep what was reported before.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct StatusReport {
    /// One entry a stack.
    pub stacks: Vec<StackStatus>,
}

/// What an agent reports of one stack.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct StackStatus {
    /// The stack.
    pub stack: StackId,
    /// The sequence that this is said about: the newest one that the agent has seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
    /// The sequence that was last applied whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<u64>,
    /// How far the agent is.
    pub sync: Sync,
    /// How what was applied is doing.
    pub health: Health,
    /// Why, if there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The loss that the agent holds until somebody approves or refuses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldLoss>,
}

/// Objects that an agent would delete, if its guard let it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct HeldLoss {
    /// What would take them away.
    pub cause: LossCause,
    /// All of them, at most 5,000.
    pub objects: Vec<ObjectKey>,
    /// How many objects the agent owns, of all stacks.
    pub owned: u64,
}

impl HeldLoss {
    /// How many objects a held loss may have.
    pub const MOST: usize = 5_000;
    const SHOWN: usize = 50;

    /// The loss as lists show it.
    pub fn shown(&self) -> Held {
        Held {
            cause: self.cause,
            count: self.objects.len() as u64,
            first: self.objects.iter().take(Self::SHOWN).cloned().collect(),
            owned: self.owned,
            digest: Some(self.digest()),
        }
    }

    /// Over what takes them away and all of them, in whatever order an agent tells them.
    pub fn digest(&self) -> Digest {
        let mut objects: Vec<_> = self.objects.iter().collect();
        objects.sort_unstable();
        let all = serde_json::to_vec(&(self.cause, objects)).unwrap_or_default();
        let hash = Sha256::digest(all);
        Digest::from(<[u8; 32]>::from(hash))
    }
}

/// A loss that an agent holds, as lists show it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Held {
    /// What would take the objects away.
    pub cause: LossCause,
    /// How many objects.
    pub count: u64,
    /// The first of them, at most 50.
    pub first: Vec<ObjectKey>,
    /// How many objects the agent owns, of all stacks.
    pub owned: u64,
    /// Names the loss, for who decides about just what they saw. Absent if an older broker recorded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// What takes objects away.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LossCause {
    /// The snapshot of this sequence no longer has them.
    Snapshot(u64),
    /// The removal of this revision.
    Removal(u64),
}
