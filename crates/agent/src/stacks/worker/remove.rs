use brokkr_core::failpoint::Point;
use brokkr_core::mutant::Mutant;
use brokkr_core::wire::{Action, Confirmation, Sync, TargetRemoval};
use tokio::time::Instant;

use super::{Pause, Woken, Worker, tell};
use crate::Error;
use crate::reconcile::{Attempt, Ending};

impl Worker {
    /// Takes the stack out of the cluster and confirms it, unless there is another order before.
    pub(super) async fn remove(&mut self, removal: &TargetRemoval) {
        self.story.applied = None;
        self.say(None, Sync::Removing, None);
        let mut told = None;
        loop {
            let attempt = self
                .workshop
                .reconciler
                .remove(&mut self.stack, removal)
                .await;
            self.count(Action::Remove, &attempt);
            let attempt = attempt.after(std::mem::take(&mut self.changes));
            self.announce(&removal.name, Action::Remove, &attempt);
            if told.as_ref() != Some(&Ending::Done) && !self.story.has_told_hold(&attempt) {
                self.tell(Action::Remove, None, &attempt, None).await;
                told = Some(attempt.ending.clone());
            }
            self.story.heed(&attempt);
            let attempt = match attempt.ending {
                Ending::Waiting(_) if !Mutant::ConfirmedEarly.is_on() => attempt,
                Ending::Held(_) if !Mutant::HeldRemovalConfirmed.is_on() => attempt,
                Ending::Done | Ending::Waiting(_) | Ending::Held(_) => {
                    match self.confirm(removal).await {
                        Ok(()) if Mutant::ConfirmedOnce.is_on() => {
                            return self.wait_for_order().await;
                        }
                        // A broker whose database was restored at once may ask again in the same words.
                        Ok(()) => Attempt::done(Vec::new()),
                        Err(error) => Attempt::error(&error),
                    }
                }
                Ending::Failed(_) => attempt,
            };
            let (sync, reason) = tell::said(&attempt.ending, Sync::Removing, Sync::Removing);
            self.say(None, sync, reason);
            let pause = self.pause_in_removal(attempt);
            if matches!(self.wait(&pause).await, Woken::Order) {
                return;
            }
        }
    }

    /// Confirms that nothing is left. The event comes before it, because nobody waits for one
    /// afterwards; the records go before it, because a stack that is not on record is confirmed at once:
    /// dying anywhere in between leads to the same confirmation.
    async fn confirm(&mut self, removal: &TargetRemoval) -> Result<(), Error> {
        let workshop = self.workshop.clone();
        workshop.reporter.deliver().await?;
        Point::RemovalTold.reached();
        workshop.reconciler.forget(&mut self.stack).await?;
        let confirmation = Confirmation {
            stack: removal.stack,
            revision: removal.revision,
        };
        // One that came too late says so, and there will be another order.
        let broker = workshop.session.broker()?;
        broker.confirm_removals(vec![confirmation]).await?;
        Point::RemovalConfirmed.reached();
        Ok(())
    }

    fn pause_in_removal(&mut self, attempt: Attempt) -> Pause {
        let ambient = &*self.workshop.ambient;
        let wait = match attempt.ending {
            Ending::Waiting(_) => {
                self.changes = attempt.objects;
                self.patience.next(ambient)
            }
            Ending::Done | Ending::Held(_) => self.workshop.settings.resync,
            Ending::Failed(_) => self.next_try(attempt.is_in_trouble),
        };
        Pause {
            attempt: Instant::now() + wait,
            look: None,
            missing: Vec::new(),
            heeds_others: false,
        }
    }
}
