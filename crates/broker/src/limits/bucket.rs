use std::time::Duration;

/// So many at once, and so many a second in the long run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    each: Duration,
    burst: Duration,
}

/// How empty a bucket is: the moment at which it will be full again, on the limits' own clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bucket(Duration);

impl Rate {
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        let each = Duration::from_secs(1) / per_second.max(1);
        Self {
            each,
            burst: each.saturating_mul(burst),
        }
    }

    /// Takes one, or says how long it takes until there is one.
    pub(super) fn take(&self, bucket: &mut Bucket, now: Duration) -> Result<(), Duration> {
        let full_at = bucket.0.max(now) + self.each;
        match full_at.saturating_sub(now).checked_sub(self.burst) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                bucket.0 = full_at;
                Ok(())
            }
        }
    }
}

impl Bucket {
    /// Whether nothing is known of it that would be lost with it.
    pub(super) fn is_full(self, now: Duration) -> bool {
        self.0 <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_as_many_as_time_brings() {
        let rate = Rate::new(10, 5);
        let mut bucket = Bucket::default();
        let mut taken = |millis| {
            let now = Duration::from_millis(millis);
            (0..100)
                .take_while(|_| rate.take(&mut bucket, now).is_ok())
                .count()
        };
        assert_eq!(taken(0), 5);
        assert_eq!(taken(50), 0);
        assert_eq!(taken(100), 1);
        assert_eq!(taken(400), 3);
        assert_eq!(
            taken(60_000),
            5,
            "no more than a burst, however long it was quiet"
        );
        let now = Duration::from_mins(1);
        assert_eq!(rate.take(&mut bucket, now), Err(Duration::from_millis(100)));
    }
}
