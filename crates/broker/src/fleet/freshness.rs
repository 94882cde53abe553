use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// How well the index is known to follow the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// The database answers.
    Fresh,
    /// It has not answered for some seconds: polls are served from memory.
    Degraded,
    /// It has not for so long that memory is no basis any more, for revoked keys above all.
    Lost,
}

/// When the follower last saw the database.
#[derive(Debug)]
pub(super) struct LastStep {
    origin: Instant,
    millis: AtomicU64,
}

/// The follower looks once a second.
const DEGRADED_AFTER: Duration = Duration::from_secs(5);
const LOST_AFTER: Duration = Duration::from_mins(1);

impl LastStep {
    pub(super) fn now() -> Self {
        Self {
            origin: Instant::now(),
            millis: AtomicU64::new(0),
        }
    }

    pub(super) fn touch(&self) {
        let millis = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.millis.store(millis, Ordering::Relaxed);
    }

    pub(super) fn age(&self) -> Duration {
        let last = Duration::from_millis(self.millis.load(Ordering::Relaxed));
        self.origin.elapsed().saturating_sub(last)
    }

    pub(super) fn freshness(&self) -> Freshness {
        match self.age() {
            age if age > LOST_AFTER => Freshness::Lost,
            age if age > DEGRADED_AFTER => Freshness::Degraded,
            _ => Freshness::Fresh,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn memory_serves_for_a_minute() {
        let last = LastStep::now();
        for (seconds, expected) in [
            (4, Freshness::Fresh),
            (10, Freshness::Degraded),
            (40, Freshness::Degraded),
            (10, Freshness::Lost),
        ] {
            tokio::time::advance(Duration::from_secs(seconds)).await;
            assert_eq!(last.freshness(), expected);
        }
        last.touch();
        assert_eq!(last.freshness(), Freshness::Fresh);
    }
}
