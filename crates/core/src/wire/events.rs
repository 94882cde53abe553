use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{AgentId, DeploymentObjectId, EventId, StackId};
use crate::name::Name;
use crate::object::ObjectKey;

/// The outcome of an attempt to apply or remove a stack. Identical outcomes in a row are one event
/// whose `count` and `last` grow.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct AgentEvent {
    /// Named by the agent: sending it again changes nothing, unless `count` has grown.
    pub id: EventId,
    /// The stack.
    pub stack: StackId,
    /// What was to be applied; absent for a removal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_object: Option<DeploymentObjectId>,
    /// Its sequence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// What was attempted.
    pub action: Action,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, in words for people; never a secret's value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What happened to each object.
    #[serde(default)]
    pub objects: Vec<ObjectOutcome>,
    /// How often in a row.
    pub count: u64,
    /// The first time, by the agent's clock.
    pub first: Timestamp,
    /// The last time, by the agent's clock.
    pub last: Timestamp,
}

/// What an agent attempted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Make the cluster what a deployment object says.
    Apply,
    /// Take a stack out of the cluster.
    Remove,
}

/// How an attempt ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All of it is done.
    Succeeded,
    /// Not all of it is done; the attempt is repeated.
    Failed,
    /// Some of it is not done, and will not be until somebody decides.
    Held,
}

/// What happened to one object.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ObjectOutcome {
    /// The object.
    pub object: ObjectKey,
    /// What happened.
    pub result: ObjectResult,
    /// Why, in words for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What happened to one object.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ObjectResult {
    /// It is new.
    Created,
    /// It was changed.
    Changed,
    /// It was so already.
    Unchanged,
    /// It was deleted.
    Pruned,
    /// It is of a kept kind, or asks to be kept: it stays and is nobody's from now on.
    Kept,
    /// Somebody else's object has its name; it was not touched.
    Conflict,
    /// It was refused.
    Invalid,
    /// It could not be written.
    Failed,
    /// It was not tried: something before it failed, or its deletion is held.
    Skipped,
}

/// A batch of events.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct EventReport {
    /// At most 100.
    pub events: Vec<AgentEvent>,
}

/// An event as the broker shows it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct RecordedEvent {
    /// The agent that reported it.
    pub agent: AgentId,
    /// The agent's name.
    pub agent_name: Name,
    /// The stack's name.
    pub stack_name: Name,
    /// The generator that owns the stack; absent if the operators do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<Name>,
    /// When the broker recorded it first.
    pub recorded_at: Timestamp,
    /// The event.
    #[serde(flatten)]
    pub event: AgentEvent,
}
