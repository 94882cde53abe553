use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Shows of a loop whether it still turns.
#[derive(Debug)]
pub(crate) struct Pulse {
    name: &'static str,
    /// When it has to have turned again; none while it waits for something that may never come, or does not run.
    due: Mutex<Option<Instant>>,
}

/// A loop that runs; at rest when this is dropped.
pub(crate) struct Beating<'a>(&'a Pulse);

impl Pulse {
    pub(super) const fn new(name: &'static str) -> Self {
        Self {
            name,
            due: Mutex::new(None),
        }
    }

    pub(crate) const fn begin(&self) -> Beating<'_> {
        Beating(self)
    }

    /// How it is stuck, if it is.
    pub(super) fn stuck(&self) -> Option<String> {
        let late = self.due().map(|due| due.elapsed())?;
        (!late.is_zero()).then(|| {
            format!(
                "the loop `{}` should have turned {} s ago",
                self.name,
                late.as_secs()
            )
        })
    }

    fn due(&self) -> MutexGuard<'_, Option<Instant>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Beating<'_> {
    /// It turns, and will again within this time.
    pub(crate) fn within(&self, time: Duration) {
        *self.0.due() = Some(Instant::now() + time);
    }
}

impl Drop for Beating<'_> {
    fn drop(&mut self) {
        *self.0.due() = None;
    }
}
