//! Whom a busy broker asks to come later comes later.

use std::collections::BTreeMap;
use std::time::Duration;

use super::world::World;

/// When who may ask again.
#[derive(Default)]
pub struct Patience {
    until: BTreeMap<Asker, Duration>,
    /// How often somebody was asked to wait, and came again afterwards.
    pub waits: u64,
}

/// One that asks: a life of the agent in a session of its own, which begins anew with each term.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Asker {
    life: u64,
    session: Option<u64>,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum What {
    Poll,
    Report,
}

impl Asker {
    pub fn of(life: u64, session: Option<u64>, path: &str) -> Option<Self> {
        let what = if path.ends_with("/agent/target-state") {
            What::Poll
        } else if path.ends_with("/agent/status") || path.ends_with("/agent/events") {
            What::Report
        } else {
            return None;
        };
        Some(Self {
            life,
            session,
            what,
        })
    }
}

impl World {
    /// How many seconds a busy broker asks to wait.
    pub fn retry_after(&mut self, status: u16) -> Option<u64> {
        matches!(status, 429 | 503).then(|| self.random.u64(2..10))
    }

    /// Somebody hears that the broker is busy.
    pub fn witness_busy(&mut self, asker: Asker, seconds: u64) {
        let until = self.age() + Duration::from_secs(seconds);
        self.witness.patience.until.insert(asker, until);
    }

    /// Somebody asks.
    pub fn witness_asking(&mut self, asker: Asker) {
        let Some(until) = self.witness.patience.until.remove(&asker) else {
            return;
        };
        self.witness.patience.waits += 1;
        let early = until.saturating_sub(self.age());
        if !early.is_zero() {
            self.violated(format!(
                "{asker:?} came {early:?} before the broker wants to be asked again"
            ));
        }
    }
}
