use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use brokkr_core::KeyId;
use pin_project_lite::pin_project;

use super::bucket::{Bucket, Rate};
use super::{Kind, Refused};

/// So many requests of a key may be under way at once.
const REQUESTS: u32 = 128;
/// So many polls: an agent has one, and some of its past that a proxy still holds.
const POLLS: u32 = 32;
/// So many watch: windows of a browser, and pipelines that wait.
const WATCHES: u32 = 64;
/// Keys that are seen at once are looked at together; below this, nobody minds.
const FEW: usize = 1024;

/// What each key does at present.
pub(super) struct Keys {
    table: Mutex<Table>,
    rate: Rate,
}

#[derive(Default)]
struct Table {
    keys: HashMap<KeyId, Usage>,
    /// At this size it is looked through for keys that do nothing any more.
    tidy_at: usize,
}

#[derive(Default)]
struct Usage {
    bucket: Bucket,
    requests: u32,
    polls: u32,
    watches: u32,
}

pin_project! {
    /// A request under way, with its leave.
    pub(crate) struct Permitted<F> {
        #[pin]
        work: F,
        permit: Permit,
    }
}

impl<F: Future> Future for Permitted<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.project().work.poll(context)
    }
}

/// Leave to do one request. It ends with this value.
pub(crate) struct Permit {
    keys: Arc<Keys>,
    key: KeyId,
    kind: Kind,
}

impl Keys {
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            table: Mutex::default(),
            rate,
        }
    }

    pub(super) fn permit(
        self: &Arc<Self>,
        key: KeyId,
        kind: Kind,
        now: Duration,
    ) -> Result<Permit, Refused> {
        let mut table = self.table();
        table.tidy(now);
        let usage = table.keys.entry(key).or_default();
        let (most, running) = usage.running(kind);
        if *running >= most {
            return Err(Refused::AtOnce(most));
        }
        // Polls cost next to nothing, and how often they come is for the agent to say.
        if kind == Kind::Request {
            self.rate
                .take(&mut usage.bucket, now)
                .map_err(Refused::TooSoon)?;
        }
        *usage.running(kind).1 += 1;
        Ok(Permit {
            keys: Arc::clone(self),
            key,
            kind,
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing in here panics half-way.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn tidy(&mut self, now: Duration) {
        if self.keys.len() < self.tidy_at.max(FEW) {
            return;
        }
        self.keys
            .retain(|_, usage| usage.is_busy() || !usage.bucket.is_full(now));
        self.tidy_at = 2 * self.keys.len();
    }
}

impl Permit {
    /// Holds it as long as the work goes on.
    pub(crate) fn around<F>(self, work: F) -> Permitted<F> {
        Permitted { work, permit: self }
    }
}

impl Usage {
    const fn is_busy(&self) -> bool {
        self.requests > 0 || self.polls > 0 || self.watches > 0
    }

    fn running(&mut self, kind: Kind) -> (u32, &mut u32) {
        match kind {
            Kind::Request => (REQUESTS, &mut self.requests),
            Kind::Poll => (POLLS, &mut self.polls),
            Kind::Watch => (WATCHES, &mut self.watches),
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(usage) = self.keys.table().keys.get_mut(&self.key) {
            let (_, running) = usage.running(self.kind);
            *running = running.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::ambient::System;

    use super::*;

    const NOW: Duration = Duration::from_secs(1);

    #[test]
    fn a_key_pays_for_itself_and_polls_for_nobody() {
        let keys = Arc::new(Keys::new(Rate::new(1, 5)));
        let (one, other) = (KeyId::generate(&System), KeyId::generate(&System));
        let done = |key, kind| {
            (0..1_000)
                .take_while(|_| keys.permit(key, kind, NOW).is_ok())
                .count()
        };
        assert_eq!(done(one, Kind::Poll), 1_000);
        assert_eq!(done(one, Kind::Request), 5);
        assert_eq!(done(one, Kind::Poll), 1_000);
        assert_eq!(done(other, Kind::Request), 5);
        let refused = keys.permit(one, Kind::Request, NOW).err();
        assert!(matches!(refused, Some(Refused::TooSoon(wait)) if wait == Duration::from_secs(1)));
    }

    #[test]
    fn what_is_under_way_is_bounded_and_ends() {
        let keys = Arc::new(Keys::new(Rate::new(1_000, 1_000)));
        let key = KeyId::generate(&System);
        for (kind, most) in [
            (Kind::Request, REQUESTS),
            (Kind::Poll, POLLS),
            (Kind::Watch, WATCHES),
        ] {
            let permits: Vec<_> = (0..1_000)
                .map_while(|_| keys.permit(key, kind, NOW).ok())
                .collect();
            assert_eq!(permits.len(), most as usize);
            assert!(matches!(
                keys.permit(key, kind, NOW),
                Err(Refused::AtOnce(_))
            ));
            drop(permits);
            assert!(keys.permit(key, kind, NOW).is_ok());
        }
    }

    #[test]
    fn keys_that_do_nothing_are_forgotten() {
        let keys = Arc::new(Keys::new(Rate::new(1, 5)));
        let busy = KeyId::generate(&System);
        let _permit = keys.permit(busy, Kind::Poll, NOW);
        for second in 0..10_000 {
            let _ = keys.permit(
                KeyId::generate(&System),
                Kind::Request,
                Duration::from_secs(second),
            );
        }
        assert!(keys.table().keys.len() <= 2 * FEW);
        assert!(keys.table().keys.contains_key(&busy));
    }
}
