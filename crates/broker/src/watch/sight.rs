use brokkr_core::wire::About;
use brokkr_core::{AgentId, StackId};

use super::Told;
use crate::fleet::Fleet;
use crate::scope::Scope;

/// What somebody wants to see, of what they may.
#[derive(Debug)]
pub(crate) struct Sight {
    pub(crate) scope: Scope,
    pub(crate) stack: Option<StackId>,
    pub(crate) agent: Option<AgentId>,
}

impl Sight {
    pub(super) fn sees(&self, told: &Told, fleet: &Fleet) -> bool {
        let about = told.hint.about;
        self.may_see(told, fleet)
            && self
                .stack
                .is_none_or(|stack| concerns_stack(about, stack, fleet))
            && self
                .agent
                .is_none_or(|agent| concerns_agent(about, agent, fleet))
    }

    /// A generator sees its stacks, and the agents that have some of them.
    fn may_see(&self, told: &Told, fleet: &Fleet) -> bool {
        let Scope::Of(generator, _) = &self.scope else {
            return true;
        };
        match told.hint.about {
            About::Fleet => true,
            About::Generator { id } => id == *generator,
            About::Agent { id } => fleet.serves(id, *generator),
            About::Stack { .. }
            | About::Target { .. }
            | About::Status { .. }
            | About::Events { .. } => told.owner == Some(generator.uuid()),
            About::Key { .. } | About::Requests { .. } | About::Windows | About::Unknown => false,
        }
    }
}

fn concerns_stack(about: About, stack: StackId, fleet: &Fleet) -> bool {
    match about {
        About::Fleet | About::Windows => true,
        About::Agent { id } => fleet.has(id, stack),
        _ => about.stack() == Some(stack),
    }
}

fn concerns_agent(about: About, agent: AgentId, fleet: &Fleet) -> bool {
    match about {
        About::Fleet | About::Windows => true,
        About::Stack { id } => fleet.has(agent, id),
        _ => about.agent() == Some(agent),
    }
}
