use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::description::Description;
use super::live_plan::LivePlan;
use super::logs::{LogLines, StackLogs, WhichLogs, log_lines};
use super::target_state::TargetStack;
use crate::id::{AgentId, RequestId, StackId};
use crate::name::{Name, Reference};
use crate::object::KeptKind;

/// What an agent can be asked for. It is no part of what the agent should do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequestKind {
    /// To compare stacks with the cluster now, and to try again at once what failed.
    Sync,
    /// What a content of a stack would change in the cluster.
    Plan,
    /// What a stack has in the cluster, and why it is not well.
    Describe,
    /// What the containers of a stack wrote last.
    Logs,
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

impl RequestKind {
    /// What an agent that answers such requests says when it opens a session.
    pub const fn feature(self) -> Option<&'static str> {
        match self {
            Self::Sync => Some("requests/sync"),
            Self::Plan => Some("requests/plan"),
            Self::Describe => Some("requests/describe"),
            Self::Logs => Some("requests/logs"),
            Self::Unknown => None,
        }
    }
}

/// Asks an agent something.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// To compare stacks with the cluster now, and to try again at once what failed.
    Sync {
        /// Which stack; all of the caller's that the agent runs or removes, if none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>)]
        stack: Option<Reference>,
    },
    /// What a content of a stack would change in the cluster. Nothing is published, and nothing changed.
    Plan {
        /// The stack; the agent need not run it yet.
        #[schema(value_type = String)]
        stack: Reference,
        /// The content, as it would be published.
        manifests: String,
        /// Kept kinds whose objects may be deleted where the content drops them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        allow_delete: Vec<KeptKind>,
    },
    /// What a stack has in the cluster, and why it is not well.
    Describe {
        /// The stack, which the agent runs or removes.
        #[schema(value_type = String)]
        stack: Reference,
    },
    /// What the containers of a stack wrote last.
    Logs {
        /// The stack, which the agent runs or removes.
        #[schema(value_type = String)]
        stack: Reference,
        /// Those of all pods, not only of those that are not ready.
        #[serde(default)]
        all: bool,
        /// Only those of containers with this name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        container: Option<String>,
        /// How many of the last lines of each; 50 if absent.
        #[serde(default = "log_lines")]
        tail: LogLines,
        /// Those of the run before the present one.
        #[serde(default)]
        previous: bool,
    },
}

impl Ask {
    /// What kind of request it is.
    pub const fn kind(&self) -> RequestKind {
        match self {
            Self::Sync { .. } => RequestKind::Sync,
            Self::Plan { .. } => RequestKind::Plan,
            Self::Describe { .. } => RequestKind::Describe,
            Self::Logs { .. } => RequestKind::Logs,
        }
    }
}

/// A request to an agent, kept for 15 minutes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct AgentRequest {
    /// Its id.
    pub id: RequestId,
    /// The agent that was asked.
    pub agent: AgentId,
    /// The agent's name.
    pub agent_name: Name,
    /// What was asked for.
    pub kind: RequestKind,
    /// The stack that it is about; absent if it is about several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<StackId>,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// When it is forgotten, with its answer.
    pub expires: Timestamp,
    /// When the agent answered; absent until it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<Timestamp>,
    /// What the agent answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<RequestAnswer>,
}

/// A request, as the agent's target state names it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TargetRequest {
    /// Its id, by which the agent fetches and answers it.
    pub id: RequestId,
    /// What is asked for.
    pub kind: RequestKind,
    /// When nobody waits for the answer any more.
    pub expires: Timestamp,
}

/// What an agent is asked, as it fetches it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RequestTask {
    /// To compare these stacks with the cluster now.
    Sync {
        /// The stacks.
        stacks: Vec<StackId>,
    },
    /// What a content would change.
    Plan {
        /// What the target state would say of it.
        entry: Box<TargetStack>,
        /// The content. Check its digest before use.
        manifests: String,
    },
    /// What a stack has in the cluster.
    Describe {
        /// The stack.
        stack: StackId,
    },
    /// What the containers of a stack wrote last.
    Logs {
        /// The stack.
        stack: StackId,
        /// Which of its logs.
        which: WhichLogs,
    },
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

/// What an agent answers. Values of secrets are never in it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RequestAnswer {
    /// It could not be done.
    Failed {
        /// Why, in words for people.
        reason: String,
    },
    /// It has begun to compare.
    Sync {
        /// How many of the stacks it has at work.
        stacks: u64,
    },
    /// What would change.
    Plan(LivePlan),
    /// What the stack has.
    Describe(Description),
    /// What its containers wrote.
    Logs(StackLogs),
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}
