use std::time::Duration;

use crate::ambient::Ambient;

/// Waiting times that double up to a longest one, with a random half so that many who failed together
/// do not come back together.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// One that begins with about `first` and ends at `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            failures: 0,
        }
    }

    /// How long to wait after one more failure: from once to twice `first` after the first one.
    pub fn next(&mut self, ambient: &dyn Ambient) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let upper = self.first.saturating_mul(factor.max(1)).min(self.longest);
        let mut random = [0; 4];
        ambient.fill(&mut random);
        let half = upper / 2;
        half + half.mul_f64(f64::from(u32::from_ne_bytes(random)) / f64::from(u32::MAX))
    }

    /// The same, but not less than whoever failed asks for, up to the longest.
    pub fn next_after(&mut self, asked: Option<Duration>, ambient: &dyn Ambient) -> Duration {
        let own = self.next(ambient);
        asked.map_or(own, |asked| own.max(asked.min(self.longest)))
    }

    /// Something worked: the next failure is the first one again.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use crate::ambient::System;

    use super::*;

    #[test]
    fn doubles_to_the_longest_and_never_falls_below_the_first() {
        let first = Duration::from_secs(1);
        let longest = Duration::from_mins(1);
        let mut backoff = Backoff::new(first, longest);
        for failure in 1..200_u32 {
            let wait = backoff.next(&System);
            let upper = first.saturating_mul(1 << failure.min(10)).min(longest);
            assert!(wait >= upper / 2 && wait <= upper, "{failure}: {wait:?}");
        }
        backoff.reset();
        assert!(backoff.next(&System) <= 2 * first);
    }

    #[test]
    fn what_is_asked_for_is_waited_up_to_the_longest() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(1));
        let asked = Duration::from_secs(9);
        assert_eq!(backoff.next_after(Some(asked), &System), asked);
        let day = Duration::from_hours(24);
        assert_eq!(
            backoff.next_after(Some(day), &System),
            Duration::from_mins(1)
        );
        assert!(backoff.next_after(Some(Duration::ZERO), &System) >= Duration::from_secs(4));
        assert!(backoff.next_after(None, &System) >= Duration::from_secs(8));
    }
}
