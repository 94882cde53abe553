use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use brokkr_core::Digest;
use tokio::time::Instant;

/// What was published, since when agents could have it, and how many do.
#[derive(Default)]
pub struct Ledger(Mutex<HashMap<Digest, Entry>>);

struct Entry {
    begun: Instant,
    missing: usize,
    counts: bool,
}

/// What an agent has.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Arrival {
    /// How long it took.
    pub after: Duration,
    /// Whether all agents have it now.
    pub is_last: bool,
    /// Whether it was published while it was measured.
    pub counts: bool,
}

impl Ledger {
    /// A content is about to be published for so many agents.
    pub fn announce(&self, digest: Digest, begun: Instant, agents: usize, counts: bool) {
        let entry = Entry {
            begun,
            missing: agents,
            counts,
        };
        self.entries(|entries| entries.insert(digest, entry));
    }

    /// An agent has it. None if nobody published it here.
    pub fn arrived(&self, digest: Digest, now: Instant) -> Option<Arrival> {
        self.entries(|entries| {
            let entry = entries.get_mut(&digest)?;
            entry.missing = entry.missing.saturating_sub(1);
            Some(Arrival {
                after: now.saturating_duration_since(entry.begun),
                is_last: entry.missing == 0,
                counts: entry.counts,
            })
        })
    }

    /// How many agents do not have it yet.
    pub fn missing(&self, digest: Digest) -> usize {
        self.entries(|entries| entries.get(&digest).map_or(0, |entry| entry.missing))
    }

    fn entries<T>(&self, look: impl FnOnce(&mut HashMap<Digest, Entry>) -> T) -> T {
        // Nothing in here panics half-way.
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_last_agent_is_told_from_the_others() {
        let ledger = Ledger::default();
        let digest = Digest::of(None, "a");
        let begun = Instant::now();
        ledger.announce(digest, begun, 2, true);
        assert_eq!(ledger.missing(digest), 2);
        let after = Duration::from_millis(3);
        let first = ledger.arrived(digest, begun + after);
        let arrival = |is_last| Arrival {
            after,
            is_last,
            counts: true,
        };
        assert_eq!(first, Some(arrival(false)));
        assert_eq!(ledger.arrived(digest, begun + after), Some(arrival(true)));
        assert_eq!(ledger.missing(digest), 0);
        assert_eq!(ledger.arrived(Digest::of(None, "b"), begun), None);
    }
}
