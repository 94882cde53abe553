use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::id::{AgentId, GeneratorId, KeyId};
use crate::name::Name;
use crate::pak::Role;

/// An agent: a Brokkr process responsible for one cluster.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// Its name, unique among agents.
    pub name: Name,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it polled last; absent if never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
    /// Whether it has been quiet for longer than three of its intervals: what it said last may be untrue by now.
    pub silent: bool,
}

/// Registers an agent.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateAgent {
    /// Its name.
    pub name: Name,
}

/// A new agent with its key, which is shown this once.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CreatedAgent {
    /// The agent.
    pub agent: Agent,
    /// Its key; the broker keeps only a hash of it.
    pub pak: String,
}

/// A generator: an external system that creates stacks in its own scope.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Generator {
    /// Its id.
    pub id: GeneratorId,
    /// Its name, unique among generators.
    pub name: Name,
    /// Which agents its stacks may reach.
    pub scope: GeneratorScope,
    /// When it was registered.
    pub created_at: Timestamp,
}

/// Which agents a generator's stacks may reach, whatever their own targeting says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GeneratorScope {
    /// Every agent.
    AllAgents,
}

/// Registers a generator. Its scope must be said: nothing reaches every agent unasked.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateGenerator {
    /// Its name.
    pub name: Name,
    /// Which agents its stacks may reach.
    pub scope: GeneratorScope,
}

/// A new generator with its key, which is shown this once.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CreatedGenerator {
    /// The generator.
    pub generator: Generator,
    /// Its key; the broker keeps only a hash of it.
    pub pak: String,
}

/// Who the caller is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// The role that the key has.
    pub role: Role,
    /// The agent's or generator's id; absent for an admin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// The agent's or generator's name; absent for an admin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// The key in use.
    pub key: KeyId,
}
