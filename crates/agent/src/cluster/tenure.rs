use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use brokkr_core::ambient::Ambient;
use brokkr_core::mutant::Mutant;
use jiff::Timestamp;
use tokio::time::Instant;

/// A point in time by both clocks. One of them stops while the machine sleeps, and the other may be set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    at: Instant,
    wall: Timestamp,
}

impl Moment {
    pub(crate) fn now(ambient: &dyn Ambient) -> Self {
        Self {
            at: Instant::now(),
            wall: ambient.now(),
        }
    }

    /// How long it is past, by the clock that says more.
    fn elapsed(&self, ambient: &dyn Ambient) -> Duration {
        let wall = ambient.now().duration_since(self.wall);
        let wall = Duration::try_from(wall).unwrap_or_default();
        self.at.elapsed().max(wall)
    }
}

/// The right of this process to write, for as long as it holds its lease. It ends by the clock, whoever notices, and
/// one that has ended never comes back: what was planned in it is not written in another one.
#[derive(Clone)]
pub(crate) struct Tenure {
    lease: Duration,
    /// When the last renewal was sent that succeeded; none after the end.
    renewed: Arc<Mutex<Option<Moment>>>,
    ambient: Arc<dyn Ambient>,
}

/// A write, with all its tries, may take two thirds of the lease. The rest is for renewals that fail.
const PATIENCE: (u32, u32) = (2, 3);

impl Tenure {
    pub(crate) fn new(lease: Duration, taken: Moment, ambient: Arc<dyn Ambient>) -> Self {
        Self {
            lease,
            renewed: Arc::new(Mutex::new(Some(taken))),
            ambient,
        }
    }

    pub(crate) fn renewed(&self, at: Moment) {
        let mut renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        if renewed.is_some() {
            *renewed = Some(at);
        }
    }

    pub(crate) fn end(&self) {
        let mut renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        *renewed = None;
    }

    /// How long a write may take that it permits, and no other is longer than `longest`.
    pub(super) fn patience(&self, longest: Duration) -> Duration {
        longest.min(self.lease * PATIENCE.0 / PATIENCE.1)
    }

    /// Whether it lasts until the end of a write that begins now.
    pub(super) fn permits(&self, longest: Duration) -> bool {
        self.lasts(self.patience(longest)) || Mutant::LeaseIgnored.is_on()
    }

    /// Whether it is worth keeping: the longest write may still begin.
    pub(crate) fn is_over(&self) -> bool {
        !self.lasts(self.patience(super::send::TIMEOUT))
    }

    fn lasts(&self, time: Duration) -> bool {
        let renewed = *self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        renewed.is_some_and(|moment| moment.elapsed(&*self.ambient) + time <= self.lease)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    /// A wall clock that a test sets.
    struct Wall(AtomicI64);

    impl Ambient for Wall {
        fn now(&self) -> Timestamp {
            Timestamp::from_second(self.0.load(Ordering::Relaxed)).expect("a time")
        }

        fn fill(&self, _: &mut [u8]) {}
    }

    fn tenure(lease: u64) -> (Tenure, Arc<Wall>) {
        let wall = Arc::new(Wall(AtomicI64::new(1_000)));
        let taken = Moment::now(&*wall);
        let lease = Duration::from_secs(lease);
        (Tenure::new(lease, taken, wall.clone()), wall)
    }

    const MINUTE: Duration = Duration::from_mins(1);

    #[tokio::test(start_paused = true)]
    async fn a_write_may_begin_if_it_ends_within_the_lease() {
        let (tenure, wall) = tenure(90);
        assert_eq!(tenure.patience(MINUTE), MINUTE);
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(tenure.permits(MINUTE) && !tenure.is_over());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!tenure.permits(MINUTE) && tenure.is_over());
        tenure.renewed(Moment::now(&*wall));
        assert!(tenure.permits(MINUTE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_lease_makes_short_writes() {
        let (tenure, _) = tenure(3);
        assert_eq!(tenure.patience(MINUTE), Duration::from_secs(2));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(tenure.permits(MINUTE));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!tenure.permits(MINUTE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_that_slept_has_lost_it() {
        let (tenure, wall) = tenure(90);
        wall.0.store(1_031, Ordering::Relaxed);
        assert!(!tenure.permits(MINUTE));
        // A clock that was set back proves nothing.
        wall.0.store(0, Ordering::Relaxed);
        assert!(tenure.permits(MINUTE));
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_ended_does_not_come_back() {
        let (tenure, wall) = tenure(90);
        tenure.end();
        assert!(!tenure.permits(MINUTE) && tenure.is_over());
        tenure.renewed(Moment::now(&*wall));
        assert!(!tenure.permits(MINUTE));
    }
}
