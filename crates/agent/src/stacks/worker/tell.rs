use brokkr_core::readiness::Readiness;
use brokkr_core::wire::{Action, Health, Outcome, StackStatus, Sync, TargetStack};
use brokkr_core::{EventId, StackId};

use super::Worker;
use crate::reconcile::{Attempt, Ending, FirstSuccess, Success};
use crate::report::Happened;

/// Reasons are for a line in a table, and hundreds of them travel together.
const LONGEST_REASON: usize = 500;

/// What is said of a stack.
pub(super) struct Story {
    stack: StackId,
    pub seen: Option<u64>,
    pub applied: Option<u64>,
    pub sync: Sync,
    pub reason: Option<String>,
    pub readiness: Readiness,
    /// The first success that was told since this process began.
    told: Option<EventId>,
}

impl Story {
    pub(super) const fn new(stack: StackId) -> Self {
        Self {
            stack,
            seen: None,
            applied: None,
            sync: Sync::Pending,
            reason: None,
            readiness: Readiness {
                health: Health::Unknown,
                reason: None,
            },
            told: None,
        }
    }

    pub(super) fn status(&self) -> StackStatus {
        let reason = self.reason.as_ref().or(self.readiness.reason.as_ref());
        let reason = reason.map(|reason| reason.chars().take(LONGEST_REASON).collect());
        StackStatus {
            stack: self.stack,
            seen: self.seen,
            applied: self.applied,
            sync: self.sync,
            health: self.readiness.health,
            reason,
            held: None,
        }
    }
}

/// How an ending is said: with these words if all is well, and while it takes time.
pub(super) fn said(ending: &Ending, done: Sync, waiting: Sync) -> (Sync, Option<String>) {
    match ending {
        Ending::Done => (done, None),
        Ending::Waiting(reason) => (waiting, Some(reason.clone())),
        Ending::Failed(reason) => (Sync::Failed, Some(reason.clone())),
        Ending::Held(reason) => (Sync::Held, Some(reason.clone())),
    }
}

impl Worker {
    /// An event tells of every failure, of the first success with a deployment object, and of every change;
    /// not of finding once more that all is well.
    pub(super) fn tell_apply(&mut self, entry: &TargetStack, attempt: &Attempt) {
        let is_untold = |first: &FirstSuccess| self.story.told != Some(first.event);
        let known = match attempt.success {
            Some(Success::Now(first)) => Some(first),
            // The process that applied it may have died before it could tell.
            Some(Success::Earlier(first)) if !attempt.has_changed() => {
                Some(first).filter(is_untold)
            }
            _ => None,
        };
        if attempt.ending == Ending::Done && known.is_none() && !attempt.has_changed() {
            return;
        }
        self.story.told = known.map(|first| first.event).or(self.story.told);
        self.tell(Action::Apply, Some(entry), attempt, known);
    }

    pub(super) fn tell(
        &self,
        action: Action,
        entry: Option<&TargetStack>,
        attempt: &Attempt,
        known: Option<FirstSuccess>,
    ) {
        let (outcome, reason) = match &attempt.ending {
            Ending::Waiting(_) => return,
            Ending::Done => (Outcome::Succeeded, None),
            Ending::Failed(reason) => (Outcome::Failed, Some(reason.clone())),
            Ending::Held(reason) => (Outcome::Held, Some(reason.clone())),
        };
        let stack = self.stack.id();
        tracing::info!(
            %stack,
            sequence = entry.map(|entry| entry.sequence),
            ?action,
            ?outcome,
            reason,
            "attempt"
        );
        let happened = Happened {
            deployment_object: entry.map(|entry| (entry.deployment_object, entry.sequence)),
            action,
            outcome,
            reason,
            objects: attempt.objects.clone(),
            known,
        };
        self.workshop.reporter.event(stack, happened);
    }

    pub(super) fn tell_held(&self, entry: &TargetStack, reason: &str) {
        let attempt = Attempt::done(Vec::new()).held(reason);
        self.tell(Action::Apply, Some(entry), &attempt, None);
    }
}
