use brokkr_core::window::Held;
use brokkr_core::wire::{Action, Sync, TargetStack};
use tokio::time::Instant;

use super::{Pause, Worker};
use crate::Error;
use crate::reconcile::{Attempt, Ending};

impl Worker {
    /// Keeps what was applied last as it is, brings nothing new and says what waits, until there is another order. Where the
    /// newest version was applied before, nothing waits.
    pub(super) async fn keep(&mut self, entry: &TargetStack, held: &Held) {
        let why = held.to_string();
        loop {
            let reconciler = &self.workshop.reconciler;
            let attempt = match reconciler.applied(&mut self.stack, entry).await {
                Ok(Some(applied)) if applied.deployment_object == entry.deployment_object => {
                    return self.follow(entry).await;
                }
                Ok(Some(applied)) => {
                    let attempt = self.repair(&applied).await;
                    self.count(Action::Apply, &attempt);
                    self.announce(&applied.name, Action::Apply, &attempt);
                    self.tell_apply(&applied, &attempt).await;
                    attempt
                }
                Ok(None) => Attempt::done(Vec::new()),
                Err(error) => Attempt::error(&error),
            };
            let pause = self.say_what_waits(entry, &why, attempt).await;
            if !self.wait_until_due(pause).await {
                return;
            }
        }
    }

    async fn repair(&mut self, applied: &TargetStack) -> Attempt {
        match self.content(applied).await {
            Ok(text) => {
                let reconciler = &self.workshop.reconciler;
                reconciler.repair(&mut self.stack, applied, &text).await
            }
            Err(error) => Attempt::error(&error),
        }
    }

    async fn say_what_waits(&mut self, entry: &TargetStack, why: &str, kept: Attempt) -> Pause {
        let waits = self.compare(entry).await;
        self.follow_holdings().await;
        let look = self.next_look().await;
        let ambient = &*self.workshop.ambient;
        let wait = match (&kept.ending, &waits) {
            (Ending::Failed(_), _) | (_, Err(_)) => self.next_try(kept.is_in_trouble),
            (Ending::Waiting(_), Ok(_)) => self.patience.next(ambient),
            (Ending::Done | Ending::Held(_), Ok(_)) => {
                self.retry.reset();
                self.patience.reset();
                self.workshop.settings.resync
            }
        };
        let reason = format!("{why}: {}", told(&kept.ending, waits));
        self.say(Some(entry.sequence), Sync::Held, Some(reason));
        Pause {
            attempt: Instant::now() + wait,
            look,
            missing: kept.missing,
            heeds_others: true,
        }
    }

    /// Leaves a stack in the cluster whose removal is to wait.
    pub(super) async fn postpone(&mut self, why: String) {
        self.say(None, Sync::Removing, Some(why));
        self.wait_for_order().await;
    }
}

/// What waits, and whether what runs could be kept meanwhile.
fn told(kept: &Ending, waits: Result<String, Error>) -> String {
    let waits = waits.unwrap_or_else(|error| format!("what waits cannot be seen: {error}"));
    match kept {
        Ending::Failed(why) => format!("{waits}; what runs could not be kept as it was: {why}"),
        Ending::Held(why) => format!("{waits}; {why}"),
        Ending::Done | Ending::Waiting(_) => waits,
    }
}
