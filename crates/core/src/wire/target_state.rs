use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::pause::TargetAgent;
use super::requests::TargetRequest;
use super::stacks::{Adopt, Drift, OnRemove};
use crate::digest::Digest;
use crate::id::{DeploymentObjectId, Epoch, StackId};
use crate::name::Name;
use crate::object::{KeptKind, ObjectKey};
use crate::service_account::ServiceAccount;

/// The whole of what an agent should do: the answer to a poll.
///
/// A stack that is absent here is *not* to be deleted: only an entry of `removals` says so.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TargetState {
    /// The identity of the broker's history.
    pub epoch: Epoch,
    /// When this agent's state last changed.
    pub revision: u64,
    /// Proves to the broker later on which history this answer came from; the agent keeps and returns it unread.
    pub state_token: String,
    /// Epochs whose history this one continues, accepted by an operator.
    pub succeeds: Vec<Epoch>,
    /// How the agent as a whole is to behave.
    #[serde(default, skip_serializing_if = "TargetAgent::is_usual")]
    pub agent: TargetAgent,
    /// What should run.
    pub stacks: Vec<TargetStack>,
    /// What should go. What is paused is not in it, and goes when it is resumed.
    pub removals: Vec<TargetRemoval>,
    /// What should go as their `requires` says: when the agent's windows let it, by the rights of a service account. Apart,
    /// because an agent that knows of neither does at once and by its own rights what stands in `removals`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditional_removals: Vec<TargetRemoval>,
    /// What the agent is asked beside its work. It is no part of the state: neither `revision` nor the `ETag` change by it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<TargetRequest>,
}

/// A stack that an agent should run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TargetStack {
    /// The stack.
    pub stack: StackId,
    /// Its name, for people.
    pub name: Name,
    /// The deployment object to apply.
    pub deployment_object: DeploymentObjectId,
    /// Its place in the stack's history.
    pub sequence: u64,
    /// What its content must hash to.
    pub digest: Digest,
    /// Bytes of YAML.
    pub size: u64,
    /// The namespace of objects that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_namespace: Option<String>,
    /// Whether to create the default namespace if it is missing.
    pub create_namespace: bool,
    /// Objects of kept kinds that may be deleted where the snapshot no longer has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_delete: Vec<ObjectKey>,
    /// Objects whose loss somebody approved, where the snapshot no longer has them: by the plan of a publish, or at
    /// this agent, by approving what it held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved_losses: Vec<ObjectKey>,
    /// Objects that this agent lets go, because somebody refused their loss: they stay, and are nobody's from then on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub released: Vec<ObjectKey>,
    /// What becomes of objects that the snapshot has and that exist already, as somebody else's.
    #[serde(default, skip_serializing_if = "Adopt::is_never")]
    pub adopt: Adopt,
    /// What becomes of what others did to its objects since they were written.
    #[serde(default, skip_serializing_if = "Drift::is_repaired")]
    pub drift: Drift,
    /// Whether the stack is paused; the agent may be, too. What is paused requires `pause`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// Whether it waits for none of the agent's windows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ignores_windows: bool,
    /// The service account by whose rights the agent acts for it, and by no others; absent if it uses its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<ServiceAccount>,
    /// What an agent must understand to handle this entry; one that does not, holds the stack and says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
}

/// A stack that an agent should take out of its cluster.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TargetRemoval {
    /// The stack.
    pub stack: StackId,
    /// Its name, for people.
    pub name: Name,
    /// What happens to its objects.
    pub policy: OnRemove,
    /// Kept kinds whose objects are deleted too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_delete: Vec<KeptKind>,
    /// Who said yes to the loss; without it, an agent holds a removal that is more than its guard lets pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Approval>,
    /// The revision of the change that asks for it; the confirmation names it.
    pub revision: u64,
    /// The service account by whose rights the agent removes it; absent if it uses its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<ServiceAccount>,
    /// What an agent must understand to carry it out; one that does not, leaves the stack where it is and says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
}

/// A person's or a pipeline's yes to a loss, given before it happens.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Approval {
    /// Who: `admin`, or the generator's name.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// The plan that was agreed to; absent if what an agent held was approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Digest>,
}

/// Reports removals that are done: every object answers 404 or has another UID, or was let go.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ConfirmationReport {
    /// The removals.
    pub removals: Vec<Confirmation>,
}

/// A removal that is done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Confirmation {
    /// The stack.
    pub stack: StackId,
    /// The removal's revision.
    pub revision: u64,
}

/// What became of the confirmations.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Confirmations {
    /// In the order of the report.
    pub removals: Vec<ConfirmationAnswer>,
}

/// What became of one confirmation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ConfirmationAnswer {
    /// The stack.
    pub stack: StackId,
    /// The removal's revision.
    pub revision: u64,
    /// What became of it.
    pub result: ConfirmationResult,
}

/// What became of a confirmation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConfirmationResult {
    /// The removal is closed.
    Closed,
    /// The removal was withdrawn or closed before; nothing changed.
    Superseded,
}
