use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::stacks::OnRemove;
use crate::digest::Digest;
use crate::id::{AgentId, StackId};
use crate::name::Name;
use crate::object::{KeptKind, ObjectKey};
use crate::targeting::Finding;

/// Why an agent runs a stack, or why it does not: every predicate with the value that was found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
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
    /// Whether the agent is targeted.
    pub targeted: bool,
    /// Why, in one sentence.
    pub reason: String,
    /// Whether somebody named agent and stack.
    pub direct: bool,
    /// Each rule of the stack.
    pub rules: Vec<ExplainedRule>,
    /// Each exclusion of the stack.
    pub exclude: Vec<ExplainedExclusion>,
    /// The scope of the generator that owns the stack; absent if the operators own it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ExplainedScope>,
}

/// How a rule judges an agent.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ExplainedRule {
    /// The rule, as a text.
    pub rule: String,
    /// Whether it matches.
    pub matches: bool,
    /// Whether its facts count as held because they were once.
    pub facts_held_before: bool,
    /// What was looked at.
    pub findings: Vec<Finding>,
}

/// How an exclusion judges an agent.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ExplainedExclusion {
    /// The exclusion, as a text.
    pub exclusion: String,
    /// Whether it keeps the agent out.
    pub matches: bool,
    /// What was looked at.
    pub findings: Vec<Finding>,
}

/// How a generator's scope judges an agent.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ExplainedScope {
    /// The generator.
    pub generator: Name,
    /// Whether it reaches the agent.
    pub reaches: bool,
    /// What was looked at.
    pub findings: Vec<Finding>,
}

/// What a change would do, before it is made: nothing of it is stored.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// Names all that the plan says, also what it only counts: the same change of the same state has the same one.
    /// As `Brokkr-Plan` it makes the change only if it would still do just this, and approves what is lost.
    pub digest: Digest,
    /// How many agent targets it would begin.
    pub reached: u64,
    /// How many agent targets it would end.
    pub left: u64,
    /// Which, each with what happens to it: those that end first, and a thousand at most.
    pub changes: Vec<PlannedTarget>,
    /// The objects that a snapshot no longer has: all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<ObjectKey>,
    /// How many agents run the stack of that snapshot, and would delete them.
    #[serde(default)]
    pub agents: u64,
    /// Kept kinds whose objects are deleted too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_delete: Vec<KeptKind>,
}

impl Plan {
    /// Whether some cluster would lose something.
    pub const fn loses(&self) -> bool {
        self.left > 0 || self.agents > 0 && !self.dropped.is_empty()
    }
}

/// What a change would do to an agent and a stack.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct PlannedTarget {
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
    /// Whether the agent would begin or cease to run it.
    pub effect: Effect,
    /// What would happen to the objects, if it ceases to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<OnRemove>,
}

/// What happens to an agent target.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It begins.
    Reach,
    /// It ends, and becomes a removal.
    Leave,
}
