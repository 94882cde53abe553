use brokkr_core::ambient::{Ambient, System};
use brokkr_core::id::{EventId, StackId};
use brokkr_core::wire::{Action, AgentEvent, Outcome};

/// An event as an agent might report it.
pub fn event(stack: StackId) -> AgentEvent {
    let now = System.now();
    AgentEvent {
        id: EventId::generate(&System),
        stack,
        deployment_object: None,
        sequence: None,
        action: Action::Remove,
        outcome: Outcome::Succeeded,
        reason: None,
        objects: Vec::new(),
        count: 1,
        first: now,
        last: now,
    }
}
