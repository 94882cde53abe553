use brokkr_core::readiness::Readiness;
use brokkr_core::wire::{Action, Health, HeldLoss, Outcome, StackStatus, Sync, TargetStack};
use brokkr_core::{EventId, StackId};

use super::Worker;
use crate::reconcile::{Attempt, Ending, FirstSuccess, Success, Withheld};
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
    /// The loss that is held, as far as the last attempt that knew could tell.
    pub held: Option<HeldLoss>,
    /// The loss of which the last event told that it is held.
    told_hold: Option<HeldLoss>,
    /// The first success that was told since this process began.
    told: Option<EventId>,
    /// Whether the last attempt that came to an end failed.
    pub is_failing: bool,
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
            held: None,
            told_hold: None,
            told: None,
            is_failing: false,
        }
    }

    /// Notes what an attempt holds. One that did not come so far changes nothing about it.
    pub(super) fn heed(&mut self, attempt: &Attempt) {
        match &attempt.withheld {
            Withheld::Unknown => {}
            Withheld::Nothing => self.held = None,
            Withheld::Loss(loss) => self.held = Some(loss.clone()),
        }
    }

    /// Whether an attempt only finds once more what was told: that a loss is held. How much the agent owns by now
    /// is for the status.
    pub(super) fn has_told_hold(&self, attempt: &Attempt) -> bool {
        let (Withheld::Loss(loss), Some(told)) = (&attempt.withheld, &self.told_hold) else {
            return false;
        };
        let is_same = loss.cause == told.cause && loss.objects == told.objects;
        is_same && matches!(attempt.ending, Ending::Held(_)) && !attempt.has_changed()
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
            held: self.held.clone(),
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
    pub(super) async fn tell_apply(&mut self, entry: &TargetStack, attempt: &Attempt) {
        let is_untold = |first: &FirstSuccess| self.story.told != Some(first.event);
        let known = match attempt.success {
            Some(Success::Now(first)) => Some(first),
            // The process that applied it may have died before it could tell.
            Some(Success::Earlier(first)) if !attempt.has_changed() => {
                Some(first).filter(is_untold)
            }
            _ => None,
        };
        let is_nothing_new =
            attempt.ending == Ending::Done && known.is_none() && !attempt.has_changed();
        if is_nothing_new || self.story.has_told_hold(attempt) {
            return;
        }
        self.story.told = known.map(|first| first.event).or(self.story.told);
        self.tell(Action::Apply, Some(entry), attempt, known).await;
    }

    pub(super) async fn tell(
        &mut self,
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
        self.story.told_hold = match &attempt.withheld {
            Withheld::Loss(loss) if outcome == Outcome::Held => Some(loss.clone()),
            _ => None,
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
        self.workshop.reporter.event(stack, happened).await;
    }

    pub(super) async fn tell_held(&mut self, entry: &TargetStack, reason: &str) {
        let attempt = Attempt::done(Vec::new()).held(reason);
        self.tell(Action::Apply, Some(entry), &attempt, None).await;
    }
}
