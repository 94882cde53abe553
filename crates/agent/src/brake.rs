//! Stops an attempt between two objects, because the order that it follows was taken back.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Asked as late as can be before each write or deletion; an object that was begun is finished. Once it was found pulled, it
/// stays so for the attempt, whatever the next order is: what was left out is never taken for done.
#[derive(Clone, Default)]
pub(crate) struct Brake {
    is_pulled: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
    has_stopped: Arc<AtomicBool>,
}

impl Brake {
    /// A brake that is pulled whenever this is so.
    pub(crate) fn when(is_pulled: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self {
            is_pulled: Some(Arc::new(is_pulled)),
            has_stopped: Arc::default(),
        }
    }

    /// The same for another attempt, which it has not stopped yet.
    pub(crate) fn anew(&self) -> Self {
        Self {
            is_pulled: self.is_pulled.clone(),
            has_stopped: Arc::default(),
        }
    }

    pub(crate) fn is_pulled(&self) -> bool {
        let is_pulled = || self.is_pulled.as_ref().is_some_and(|is_pulled| is_pulled());
        if !self.has_stopped.load(Ordering::Relaxed) && is_pulled() {
            self.has_stopped.store(true, Ordering::Relaxed);
        }
        self.has_stopped.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Brake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Brake({})", self.is_pulled())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_that_was_stopped_stays_so_and_the_next_one_is_free() {
        let is_paused = Arc::new(AtomicBool::new(true));
        let order = is_paused.clone();
        let brake = Brake::when(move || order.load(Ordering::Relaxed));
        assert!(brake.is_pulled());
        is_paused.store(false, Ordering::Relaxed);
        assert!(brake.is_pulled());
        assert!(!brake.anew().is_pulled());
        assert!(!Brake::default().is_pulled());
    }
}
