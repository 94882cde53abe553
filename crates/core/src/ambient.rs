//! Where time and randomness come from, so that tests can pass their own.

use jiff::{Timestamp, Unit};

/// The clock and the source of random bytes of a process.
pub trait Ambient: Send + Sync + 'static {
    /// The present, in whole microseconds: `PostgreSQL` keeps no more, and both engines must agree.
    fn now(&self) -> Timestamp;

    /// Fills `bytes` from a cryptographically secure generator.
    fn fill(&self, bytes: &mut [u8]);
}

/// The real clock and the operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Ambient for System {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the clock"
    )]
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        now.round(Unit::Microsecond).unwrap_or(now)
    }

    #[expect(
        clippy::expect_used,
        reason = "a system without randomness must not mint keys"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the system's random generator works");
    }
}
