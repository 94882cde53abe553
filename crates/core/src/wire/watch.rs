use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{AgentId, GeneratorId, KeyId, StackId};

/// Something changed: whoever shows it reads it again. It says what, not how.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Hint {
    /// What changed.
    #[serde(flatten)]
    pub about: About,
    /// The revision that changed it; of what agents report, the number in the feed of reports.
    pub version: u64,
}

/// What a hint is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum About {
    /// An agent: its labels, annotations, facts, cluster or pause, or that it came or went.
    Agent {
        /// The agent.
        id: AgentId,
    },
    /// A generator.
    Generator {
        /// The generator.
        id: GeneratorId,
    },
    /// A key.
    Key {
        /// The key.
        id: KeyId,
    },
    /// A stack: its options, targeting or head, or that it came or went.
    Stack {
        /// The stack.
        id: StackId,
    },
    /// Whether, and how, an agent is responsible for a stack; with it what is removed, held, approved or refused.
    Target {
        /// The agent.
        agent: AgentId,
        /// The stack.
        stack: StackId,
    },
    /// How a stack is doing at an agent.
    Status {
        /// The agent.
        agent: AgentId,
        /// The stack.
        stack: StackId,
    },
    /// What an agent did with a stack.
    Events {
        /// The agent.
        agent: AgentId,
        /// The stack.
        stack: StackId,
    },
    /// What an agent is asked beside its work, or an answer.
    Requests {
        /// The agent.
        agent: AgentId,
    },
    /// Which maintenance windows there are.
    Windows,
    /// Whether the whole fleet is paused.
    Fleet,
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

impl About {
    /// The stack that it is about, if it is about one.
    pub const fn stack(self) -> Option<StackId> {
        match self {
            Self::Stack { id: stack }
            | Self::Target { stack, .. }
            | Self::Status { stack, .. }
            | Self::Events { stack, .. } => Some(stack),
            _ => None,
        }
    }

    /// The agent that it is about, if it is about one.
    pub const fn agent(self) -> Option<AgentId> {
        match self {
            Self::Agent { id: agent }
            | Self::Target { agent, .. }
            | Self::Status { agent, .. }
            | Self::Events { agent, .. }
            | Self::Requests { agent } => Some(agent),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json, to_value};

    use super::*;

    #[test]
    fn a_hint_is_flat_and_one_of_a_newer_version_is_read_as_unknown() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        let stack: StackId = id.parse().expect("an id");
        let hint = Hint {
            about: About::Stack { id: stack },
            version: 7,
        };
        let text = json!({"kind": "stack", "id": id, "version": 7});
        assert_eq!(to_value(hint).expect("JSON"), text);
        assert_eq!(from_value::<Hint>(text).expect("a hint"), hint);
        let newer = json!({"kind": "galaxy", "id": "far", "version": 7});
        let newer: Hint = from_value(newer).expect("a hint");
        assert_eq!(newer.about, About::Unknown);
        assert_eq!(
            to_value(Hint {
                about: About::Fleet,
                version: 1
            })
            .expect("JSON"),
            json!({"kind": "fleet", "version": 1})
        );
    }
}
