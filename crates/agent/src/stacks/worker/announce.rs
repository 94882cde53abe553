use brokkr_core::Name;
use brokkr_core::wire::{Action, ObjectResult};

use super::Worker;
use crate::announce::{Announcement, Reason};
use crate::reconcile::{Attempt, Ending, Withheld};

impl Worker {
    /// Counts an attempt, before it is seen together with those before it.
    pub(super) fn count(&self, action: Action, attempt: &Attempt) {
        let monitor = &self.workshop.settings.monitor;
        monitor.figures.attempt(action, attempt);
    }

    /// Tells in the cluster itself what somebody there may want to know: not every success, and nothing twice.
    pub(super) fn announce(&mut self, name: &Name, action: Action, attempt: &Attempt) {
        let was_failing = self.story.is_failing;
        match &attempt.ending {
            Ending::Failed(why) => {
                self.story.is_failing = true;
                let mut objects = attempt.objects.iter();
                let reason = if objects.any(|object| object.result == ObjectResult::Conflict) {
                    Reason::Conflict
                } else {
                    Reason::AttemptFailed
                };
                self.note(name, action, reason, why);
            }
            Ending::Held(why) => {
                let is_loss = matches!(attempt.withheld, Withheld::Loss(_));
                if is_loss && !self.story.has_told_hold(attempt) {
                    self.note(name, action, Reason::LossHeld, why);
                }
            }
            Ending::Done => {
                self.story.is_failing = false;
                if was_failing {
                    self.note(name, action, Reason::Recovered, "it works again");
                }
                if let Some(what) = repaired(attempt) {
                    self.note(name, action, Reason::DriftRepaired, &what);
                }
            }
            Ending::Waiting(_) => {}
        }
    }

    fn note(&self, name: &Name, action: Action, reason: Reason, what: &str) {
        self.workshop.announcer.announce(Announcement {
            stack: self.stack.id(),
            action,
            reason,
            note: format!("stack {name}: {what}"),
        });
    }
}

/// What was changed back; the first object stands for all.
fn repaired(attempt: &Attempt) -> Option<String> {
    let mut repaired = attempt.repaired();
    let first = repaired.next()?;
    let what = first.reason.as_deref().unwrap_or("somebody had changed it");
    Some(match repaired.count() {
        0 => format!("changed back {}: {what}", first.object),
        more => format!(
            "changed back {}: {what}; and {more} more object(s)",
            first.object
        ),
    })
}
