//! Identical outcomes in a row are one event whose count grows.

use std::collections::HashMap;

use brokkr_core::ambient::Ambient;
use brokkr_core::plan::Fingerprint;
use brokkr_core::wire::{Action, AgentEvent, ObjectOutcome, ObjectResult, Outcome};
use brokkr_core::{DeploymentObjectId, EventId, StackId};
use jiff::Timestamp;

use crate::reconcile::FirstSuccess;

/// An event lists all objects up to here, and beyond it only those that are not unchanged.
const LISTED_WHOLE: usize = 200;

/// The outcome of an attempt.
#[derive(Debug, Clone)]
pub(crate) struct Happened {
    pub deployment_object: Option<(DeploymentObjectId, u64)>,
    pub action: Action,
    pub outcome: Outcome,
    pub reason: Option<String>,
    pub objects: Vec<ObjectOutcome>,
    /// The event, if this outcome has one already.
    pub known: Option<FirstSuccess>,
}

/// The last event of each stack.
#[derive(Default)]
pub(super) struct Folds(HashMap<StackId, Fold>);

struct Fold {
    content: Fingerprint,
    id: EventId,
    first: Timestamp,
    count: u64,
}

impl Folds {
    /// The event that tells of it: the last one with a greater count, or a new one.
    pub(super) fn fold(
        &mut self,
        stack: StackId,
        mut happened: Happened,
        ambient: &dyn Ambient,
    ) -> AgentEvent {
        if happened.objects.len() > LISTED_WHOLE {
            happened
                .objects
                .retain(|object| object.result != ObjectResult::Unchanged);
        }
        let now = ambient.now();
        let content = content(&happened);
        let last = self.0.get(&stack).filter(|fold| fold.content == content);
        let fold = match (happened.known, last) {
            (Some(known), _) => Fold {
                content,
                id: known.event,
                first: known.at,
                count: 1,
            },
            (None, Some(last)) => Fold {
                content,
                id: last.id,
                first: last.first,
                count: last.count + 1,
            },
            (None, None) => Fold {
                content,
                id: EventId::generate(ambient),
                first: now,
                count: 1,
            },
        };
        let event = AgentEvent {
            id: fold.id,
            stack,
            deployment_object: happened.deployment_object.map(|(id, _)| id),
            sequence: happened.deployment_object.map(|(_, sequence)| sequence),
            action: happened.action,
            outcome: happened.outcome,
            reason: happened.reason,
            objects: happened.objects,
            count: fold.count,
            first: fold.first,
            last: happened.known.map_or(now, |known| known.at),
        };
        self.0.insert(stack, fold);
        event
    }

    pub(super) fn forget(&mut self, stack: StackId) {
        self.0.remove(&stack);
    }
}

/// What makes two outcomes identical. Hashing their debug form is enough: it is compared only inside
/// one process.
fn content(happened: &Happened) -> Fingerprint {
    let Happened {
        deployment_object,
        action,
        outcome,
        reason,
        objects,
        known: _,
    } = happened;
    let text = format!("{deployment_object:?} {action:?} {outcome:?} {reason:?} {objects:?}");
    Fingerprint::of(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use brokkr_core::ambient::System;

    use super::*;

    fn failed(reason: &str) -> Happened {
        Happened {
            deployment_object: None,
            action: Action::Apply,
            outcome: Outcome::Failed,
            reason: Some(reason.to_owned()),
            objects: Vec::new(),
            known: None,
        }
    }

    #[test]
    fn identical_outcomes_in_a_row_are_one_event() {
        let mut folds = Folds::default();
        let stack = StackId::generate(&System);
        let mut fold = |happened| folds.fold(stack, happened, &System);
        let first = fold(failed("no"));
        let second = fold(failed("no"));
        assert_eq!((second.id, second.count), (first.id, 2));
        assert_eq!(second.first, first.first);
        let other = fold(failed("not yet"));
        assert_ne!(other.id, first.id);
        let again = fold(failed("no"));
        assert_ne!(again.id, first.id, "not in a row");
        assert_eq!(again.count, 1);
    }

    #[test]
    fn a_first_success_is_one_event_however_often_it_is_told() {
        let known = FirstSuccess {
            event: EventId::generate(&System),
            at: System.now(),
        };
        let stack = StackId::generate(&System);
        let told = || {
            let happened = Happened {
                known: Some(known),
                ..failed("")
            };
            Folds::default().fold(stack, happened, &System)
        };
        assert_eq!(told(), told());
    }
}
