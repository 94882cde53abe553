use brokkr_core::wire::{Paused, Sync, TargetStack};
use tokio::time::Instant;

use super::{Pause, Worker};
use crate::Error;

/// Names that the agent does not know, and whoever reads what it says does: its own, and that of a stack with the
/// generator before it. The command line puts them in.
const SOME_STACK: &str = "STACK";
const SOME_AGENT: &str = "AGENT";

impl Worker {
    /// Looks at what is paused and says what differs, until there is another order.
    pub(super) async fn rest(&mut self, entry: &TargetStack, paused: Paused) {
        let why = paused.told(SOME_STACK, SOME_AGENT).to_string();
        self.say(Some(entry.sequence), Sync::Held, Some(why.clone()));
        loop {
            let compared = self.compare(entry).await;
            let look = self.next_look().await;
            let (said, wait) = match compared {
                Ok(said) => {
                    self.retry.reset();
                    (said, self.workshop.settings.resync)
                }
                Err(error) => (
                    format!("what differs cannot be seen: {error}"),
                    self.retry.next(&*self.workshop.ambient),
                ),
            };
            let reason = format!("{why}: {said}; nothing is changed");
            self.say(Some(entry.sequence), Sync::Held, Some(reason));
            let pause = Pause {
                attempt: Instant::now() + wait,
                look,
                missing: Vec::new(),
                heeds_others: true,
            };
            if !self.wait_until_due(pause).await {
                return;
            }
        }
    }

    pub(super) async fn compare(&mut self, entry: &TargetStack) -> Result<String, Error> {
        let text = self.content(entry).await?;
        let reconciler = &self.workshop.reconciler;
        reconciler.compare(&mut self.stack, entry, &text).await
    }
}
