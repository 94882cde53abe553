use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::digest::Digest;
use crate::id::KeyId;

/// A change that was made: by whom, from where, of what, from what to what. Secrets are never in it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// The revision that the change was.
    pub revision: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What was done.
    pub action: AuditAction,
    /// To what.
    pub subject: Subject,
    /// The parts that changed, as they were; absent for what is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<serde_json::Value>,
    /// The parts that changed, as they are since; absent for what is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<serde_json::Value>,
    /// How many agent targets it began.
    pub reached: u64,
    /// How many agent targets it ended.
    pub left: u64,
    /// The plan that was agreed to, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Digest>,
}

/// An entry with what chains it to the one before.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ChainedEntry {
    /// The entry.
    #[serde(flatten)]
    pub entry: AuditEntry,
    /// SHA-256 over the hash of the entry before (none for the first) and this one's own bytes.
    pub hash: Digest,
}

/// Who made a change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Actor {
    /// What kind of one.
    pub role: ActorRole,
    /// The agent's or generator's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// The key that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// Where the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub address: Option<IpAddr>,
    /// Finds the request in the broker's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// What kind of somebody makes changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorRole {
    /// An operator.
    Admin,
    /// An agent.
    Agent,
    /// A generator.
    Generator,
    /// Somebody with a shell on the broker's host.
    Host,
    /// The broker itself.
    Broker,
}

/// What a change is about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Subject {
    /// Its id.
    pub id: Uuid,
    /// Its name, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What is done. The first word says to what.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditAction {
    /// An agent was registered.
    AgentCreate,
    /// Its labels or annotations changed, or it was paused or resumed.
    AgentChange,
    /// It reported new facts of its cluster.
    AgentFacts,
    /// A process began to act for it, which ended the session before.
    AgentSession,
    /// Its key was used for another cluster than its own, and refused. Told once of each cluster.
    AgentConflict,
    /// Its next session may be of any cluster.
    AgentRebind,
    /// It was asked something.
    AgentAsk,
    /// It answered what it was asked.
    AgentAnswer,
    /// It is to finish: what it runs is being removed or let go.
    AgentRetire,
    /// It was retired: at once, or by its last confirmation.
    AgentDelete,
    /// A generator was registered.
    GeneratorCreate,
    /// Its scope or quota changed.
    GeneratorChange,
    /// It was deleted.
    GeneratorDelete,
    /// A stack was created.
    StackCreate,
    /// Its options, labels, annotations or targeting changed.
    StackChange,
    /// It was deleted.
    StackDelete,
    /// It was brought back.
    StackUndelete,
    /// A snapshot of it was published.
    StackPublish,
    /// An older snapshot of it was published again.
    StackRollback,
    /// An agent was targeted directly.
    TargetCreate,
    /// A direct target was taken back.
    TargetEnd,
    /// An agent confirmed that it removed a stack.
    RemovalConfirm,
    /// A loss was approved.
    RemovalApprove,
    /// A loss was refused: the objects stay.
    RemovalRefuse,
    /// A key was made.
    KeyCreate,
    /// A new key was put in the place of this one.
    KeyRotate,
    /// The new key of a rotation was used first, which ends the one that it replaces.
    KeyUse,
    /// A key's time was over.
    KeyExpire,
    /// A key was revoked.
    KeyRevoke,
    /// Somebody signed in to the console with a key.
    KeySignIn,
    /// And out again.
    KeySignOut,
    /// The broker's settings changed.
    SettingsChange,
    /// A maintenance window was created.
    WindowCreate,
    /// It was deleted.
    WindowDelete,
    /// The broker was declared to continue another history.
    EpochAccept,
    /// An agent proved that the database lost history: another one took its place.
    EpochLose,
    /// The oldest entries were forgotten, as the settings say: those up to the revision that `after` names, with the hash
    /// that the first kept entry's covers.
    AuditForget,
}

impl fmt::Display for AuditAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for ActorRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
