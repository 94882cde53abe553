use brokkr_core::EventId;
use brokkr_core::wire::{HeldLoss, ObjectOutcome, ObjectResult};
use jiff::Timestamp;

use crate::Error;
use crate::cluster::MissingKind;
use crate::prune::Pruned;

/// What an attempt at a stack came to.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// How it ended.
    pub ending: Ending,
    /// What happened to each object, in order of their keys.
    pub objects: Vec<ObjectOutcome>,
    /// The first success with the deployment object, if there was one.
    pub success: Option<Success>,
    /// What it would have deleted and may not.
    pub withheld: Withheld,
    /// The kinds for want of which it failed.
    pub(crate) missing: Vec<MissingKind>,
    /// Whether the API server failed at something, whatever it was asked.
    pub(crate) is_in_trouble: bool,
    /// Whether it was only to put back what others changed.
    only_repairs: bool,
}

/// What an attempt does not delete until somebody decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Withheld {
    /// It did not come so far as to know.
    Unknown,
    /// Nothing.
    Nothing,
    /// All of this.
    Loss(HeldLoss),
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// All is as it should be.
    Done,
    /// Nothing is wrong, but something takes time.
    Waiting(String),
    /// Something did not work; it is tried again.
    Failed(String),
    /// It goes no further until somebody decides.
    Held(String),
}

/// When a deployment object was first applied whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Success {
    /// By this attempt.
    Now(FirstSuccess),
    /// By one before it.
    Earlier(FirstSuccess),
}

/// The event that tells of a first success, which is one event however often it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstSuccess {
    /// Its id.
    pub event: EventId,
    /// When it was.
    pub at: Timestamp,
}

/// Why an attempt went no further.
const STOPPED: &str = "stopped between two objects, because it was paused, or the broker no longer names it; what was begun was finished";

impl Attempt {
    fn new(ending: Ending, mut objects: Vec<ObjectOutcome>) -> Self {
        objects.sort_by(|a, b| a.object.cmp(&b.object));
        Self {
            ending,
            objects,
            success: None,
            withheld: Withheld::Unknown,
            missing: Vec::new(),
            is_in_trouble: false,
            only_repairs: false,
        }
    }

    pub(crate) fn done(objects: Vec<ObjectOutcome>) -> Self {
        Self::new(Ending::Done, objects)
    }

    pub(crate) fn waiting(reason: String) -> Self {
        Self::new(Ending::Waiting(reason), Vec::new())
    }

    /// Some objects did not work; the reason names the first of them and counts the rest.
    pub(crate) fn failed(objects: Vec<ObjectOutcome>) -> Self {
        let mut attempt = Self::new(Ending::Done, objects);
        let reason = attempt.failure();
        attempt.ending = Ending::Failed(reason);
        attempt
    }

    pub(crate) fn error(error: &Error) -> Self {
        Self::new(Ending::Failed(error.to_string()), Vec::new()).in_trouble(error.is_trouble())
    }

    /// Everything was applied; how the pruning went decides.
    pub(crate) fn of(mut objects: Vec<ObjectOutcome>, pruned: Pruned) -> Self {
        objects.extend(pruned.objects);
        if pruned.is_stopped && pruned.is_well {
            return Self::done(objects).stopped();
        }
        let attempt = match pruned.waits_for {
            _ if !pruned.is_well => Self::failed(objects),
            Some(reason) => Self::new(Ending::Waiting(reason), objects),
            None => Self::done(objects),
        };
        match pruned.held {
            None => Self {
                withheld: Withheld::Nothing,
                ..attempt
            },
            Some(held) => Self {
                withheld: Withheld::Loss(held.loss),
                ..attempt.held(&held.reason)
            },
        }
    }

    pub(crate) fn held(mut self, reason: &str) -> Self {
        if matches!(self.ending, Ending::Done | Ending::Waiting(_)) {
            self.ending = Ending::Held(reason.to_owned());
        }
        self
    }

    /// It did not come to its end.
    pub(crate) fn stopped(self) -> Self {
        self.held(STOPPED)
    }

    pub(crate) fn missing(self, missing: Vec<MissingKind>) -> Self {
        Self { missing, ..self }
    }

    pub(crate) const fn in_trouble(mut self, is_in_trouble: bool) -> Self {
        self.is_in_trouble |= is_in_trouble;
        self
    }

    pub(crate) const fn with_success(mut self, success: Success) -> Self {
        self.success = Some(success);
        self
    }

    /// Whether anything in the cluster is different now.
    pub fn has_changed(&self) -> bool {
        self.objects.iter().any(is_a_change)
    }

    /// It was only to put back what others changed.
    pub(crate) const fn repairing(mut self) -> Self {
        self.only_repairs = true;
        self
    }

    /// The objects that others had changed or deleted, and that it changed back: nothing else is left to do once a
    /// deployment object was applied whole.
    pub(crate) fn repaired(&self) -> impl Iterator<Item = &ObjectOutcome> {
        let was_whole = matches!(self.success, Some(Success::Earlier(_))) || self.only_repairs;
        let is_written =
            |o: &&ObjectOutcome| matches!(o.result, ObjectResult::Created | ObjectResult::Changed);
        self.objects
            .iter()
            .filter(is_written)
            .filter(move |_| was_whole)
    }

    /// The attempt together with what changed in earlier ones that only had to wait.
    pub(crate) fn after(mut self, earlier: Vec<ObjectOutcome>) -> Self {
        for change in earlier.into_iter().filter(is_a_change) {
            match self.objects.iter_mut().find(|o| o.object == change.object) {
                Some(later) if later.result == ObjectResult::Unchanged => *later = change,
                Some(_) => {}
                None => self.objects.push(change),
            }
        }
        self.objects.sort_by(|a, b| a.object.cmp(&b.object));
        self
    }

    fn failure(&self) -> String {
        let is_bad = |o: &&ObjectOutcome| {
            matches!(
                o.result,
                ObjectResult::Conflict | ObjectResult::Invalid | ObjectResult::Failed
            )
        };
        let mut bad = self.objects.iter().filter(is_bad);
        let Some(first) = bad.next() else {
            return "nothing was done".to_owned();
        };
        let reason = first.reason.as_deref().unwrap_or("it did not work");
        match bad.count() {
            0 => format!("{}: {reason}", first.object),
            more => format!("{}: {reason}; and {more} more object(s)", first.object),
        }
    }
}

fn is_a_change(outcome: &ObjectOutcome) -> bool {
    matches!(
        outcome.result,
        ObjectResult::Created | ObjectResult::Changed | ObjectResult::Pruned | ObjectResult::Kept
    )
}

#[cfg(test)]
mod tests {
    use brokkr_core::ObjectKey;

    use super::*;

    fn outcome(name: &str, result: ObjectResult) -> ObjectOutcome {
        let key = ObjectKey {
            group: String::new(),
            kind: "ConfigMap".into(),
            namespace: None,
            name: name.into(),
        };
        crate::outcome::plain(&key, result)
    }

    #[test]
    fn a_failure_names_the_first_object_and_counts_the_rest() {
        let objects = vec![
            outcome("c", ObjectResult::Conflict),
            outcome("a", ObjectResult::Unchanged),
            outcome("b", ObjectResult::Invalid),
        ];
        let attempt = Attempt::failed(objects);
        let expected = "ConfigMap b: it did not work; and 1 more object(s)";
        assert_eq!(attempt.ending, Ending::Failed(expected.to_owned()));
        assert!(!attempt.has_changed());
    }

    #[test]
    fn what_changed_while_waiting_is_told_at_the_end() {
        let earlier = vec![
            outcome("a", ObjectResult::Created),
            outcome("b", ObjectResult::Unchanged),
            outcome("z", ObjectResult::Pruned),
        ];
        let last = Attempt::done(vec![
            outcome("a", ObjectResult::Unchanged),
            outcome("b", ObjectResult::Changed),
        ]);
        let results: Vec<_> = last
            .after(earlier)
            .objects
            .into_iter()
            .map(|o| o.result)
            .collect();
        let expected = [
            ObjectResult::Created,
            ObjectResult::Changed,
            ObjectResult::Pruned,
        ];
        assert_eq!(results, expected);
    }
}
