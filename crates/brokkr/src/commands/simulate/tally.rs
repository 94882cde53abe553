use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brokkr_client::Error;
use hdrhistogram::Histogram;

use super::ledger::Arrival;

/// What all of a simulation counts, from its first agent to its last.
#[derive(Default)]
pub struct Tally {
    /// Agents that have got and taken a state.
    pub settled: Count,
    pub unchanged: Count,
    pub changed: Count,
    pub contents: Count,
    pub content_bytes: Count,
    pub events: Count,
    pub statuses: Count,
    /// Versions that an agent never saw, because there was a newer one.
    pub skipped: Count,
    pub publishes: Count,
    pub published: Times,
    pub delivered: Times,
    pub delivered_to_all: Times,
    /// How long agents could not ask, that could again.
    pub away: Times,
    failures: Mutex<BTreeMap<String, u64>>,
    wrong: Mutex<Wrong>,
}

#[derive(Default)]
pub struct Count(AtomicU64);

/// Durations from a microsecond to an hour, each to three digits.
pub struct Times(Mutex<Histogram<u64>>);

/// What no broker may answer.
#[derive(Clone, Default)]
pub struct Wrong {
    pub count: u64,
    /// The first of it, in words.
    pub first: Vec<String>,
}

const LONGEST_MICROS: u64 = 3_600_000_000;
const DIGITS: u8 = 3;
/// More would only fill the screen.
const MOST_WORDS: usize = 10;

impl Tally {
    /// An agent has what was published.
    pub fn arrived(&self, arrival: Arrival) {
        if arrival.counts {
            self.delivered.add(arrival.after);
            if arrival.is_last {
                self.delivered_to_all.add(arrival.after);
            }
        }
    }

    /// A request came to nothing.
    pub fn failed(&self, error: &Error) {
        *locked(&self.failures).entry(kind(error)).or_default() += 1;
    }

    /// An answer was wrong.
    pub fn wrong(&self, what: String) {
        let mut wrong = locked(&self.wrong);
        wrong.count += 1;
        if wrong.first.len() < MOST_WORDS {
            wrong.first.push(what);
        }
    }

    pub fn failures(&self) -> BTreeMap<String, u64> {
        locked(&self.failures).clone()
    }

    pub fn all_wrong(&self) -> Wrong {
        locked(&self.wrong).clone()
    }
}

impl Count {
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Default for Times {
    #[expect(clippy::expect_used, reason = "the bounds are constants that fit")]
    fn default() -> Self {
        let histogram = Histogram::new_with_max(LONGEST_MICROS, DIGITS);
        Self(Mutex::new(histogram.expect("the bounds fit")))
    }
}

impl Times {
    pub fn add(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        locked(&self.0).saturating_record(micros);
    }

    /// What was added.
    pub fn seen(&self) -> Histogram<u64> {
        locked(&self.0).clone()
    }
}

/// Nothing panics half-way while it holds one of these.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As problems are named, or what took the place of an answer.
fn kind(error: &Error) -> String {
    match error {
        Error::Refused(problem) => problem.code.to_string(),
        Error::NotABroker { status } => format!("status_{status}"),
        Error::Unreachable { .. } => "unreachable".to_owned(),
        Error::Untrusted { .. } => "untrusted".to_owned(),
        Error::TooLong { .. } => "too_long".to_owned(),
        Error::Setup(_) => "setup".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_three_digits_and_their_count() {
        let times = Times::default();
        for millis in 1..=1_000 {
            times.add(Duration::from_millis(millis));
        }
        let seen = times.seen();
        assert_eq!(seen.len(), 1_000);
        let p99 = seen.value_at_quantile(0.99);
        assert!((989_000..=991_999).contains(&p99), "{p99}");
        times.add(Duration::from_hours(100));
        assert_eq!(times.seen().len(), 1_001);
    }
}
