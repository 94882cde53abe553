use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::windows::TargetWindow;

/// What an entry of a target state requires that is paused: an agent that does not know pauses holds it.
pub const PAUSE: &str = "pause";

/// How an agent as a whole is to behave.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct TargetAgent {
    /// Whether it is paused: it changes nothing in its cluster.
    pub paused: bool,
    /// Whether all agents are.
    pub fleet_paused: bool,
    /// Its maintenance windows, which it judges by its own clock.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<TargetWindow>,
}

impl TargetAgent {
    /// Whether it is to change nothing.
    pub const fn is_paused(&self) -> bool {
        self.paused || self.fleet_paused
    }

    /// Whether nothing is out of the ordinary.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// By what a stack is paused at an agent. Nothing is changed in the cluster until none of it is left.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Paused {
    /// The stack is paused.
    pub stack: bool,
    /// The agent is paused.
    pub agent: bool,
    /// All agents are paused.
    pub fleet: bool,
}

impl Paused {
    /// Whether anything pauses it.
    pub const fn is_paused(&self) -> bool {
        self.stack || self.agent || self.fleet
    }

    /// Whether nothing does.
    pub const fn is_nothing(&self) -> bool {
        !self.is_paused()
    }

    /// Each thing that pauses, with the command that ends it.
    pub fn told<'a>(
        self,
        stack: impl fmt::Display + 'a,
        agent: impl fmt::Display + 'a,
    ) -> impl fmt::Display + 'a {
        Told {
            paused: self,
            stack,
            agent,
        }
    }
}

struct Told<S, A> {
    paused: Paused,
    stack: S,
    agent: A,
}

impl<S: fmt::Display, A: fmt::Display> fmt::Display for Told<S, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut glue = "paused (";
        if self.paused.fleet {
            write!(
                f,
                "{glue}all agents are paused: brokkr settings set --paused false"
            )?;
            glue = "; ";
        }
        if self.paused.agent {
            write!(
                f,
                "{glue}the agent is paused: brokkr agent resume {}",
                self.agent
            )?;
            glue = "; ";
        }
        if self.paused.stack {
            write!(
                f,
                "{glue}the stack is paused: brokkr stack resume {}",
                self.stack
            )?;
            glue = "; ";
        }
        if glue == "; " {
            f.write_str(")")
        } else {
            f.write_str("paused")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pause_is_told_with_the_way_to_go_on() {
        let told = |fleet, agent, stack| {
            let paused = Paused {
                stack,
                agent,
                fleet,
            };
            paused.told("ci:shop", "eu-1").to_string()
        };
        insta::assert_snapshot!(told(true, true, true), @"paused (all agents are paused: brokkr settings set --paused false; the agent is paused: brokkr agent resume eu-1; the stack is paused: brokkr stack resume ci:shop)");
        insta::assert_snapshot!(told(false, false, true), @"paused (the stack is paused: brokkr stack resume ci:shop)");
        insta::assert_snapshot!(told(false, false, false), @"paused");
    }
}
