//! Which Events are written when, so that a flood or a fight makes few.

use std::collections::BTreeMap;
use std::time::Duration;

use brokkr_core::StackId;
use brokkr_core::ambient::Ambient;
use brokkr_core::wire::Action;
use jiff::Timestamp;
use tokio::time::Instant;

use super::{Announcement, Reason};

/// In the long run there is one write in this time, whatever happens to however many stacks.
const PACE: Duration = Duration::from_secs(30);
/// So many may come at once after a quiet time.
const BURST: u32 = 20;
/// The same of the same stack is told again after this time, once, with how often it happened.
const AGAIN: Duration = Duration::from_mins(5);
/// What did not come to its turn for so long is no news any more; and what happens again after so long is something new.
const QUIET: Duration = Duration::from_mins(10);
/// Rights change seldom.
const REFUSED: Duration = Duration::from_mins(10);

/// What happened of late, by stack and reason.
pub(super) struct Ledger {
    entries: BTreeMap<(StackId, Reason), Entry>,
    /// When the writes so far would be over at an even pace.
    spent_until: Instant,
    /// Nothing is written before.
    rests_until: Instant,
    dropped: u64,
}

/// One Event.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Its name in the cluster, once it was written.
    pub name: String,
    pub action: Action,
    pub reason: Reason,
    pub note: String,
    pub first: Timestamp,
    pub last: Timestamp,
    /// How often it happened, and how often that was said.
    pub count: u64,
    pub written: u64,
    seen: Instant,
    due: Instant,
}

impl Ledger {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            entries: BTreeMap::new(),
            spent_until: now,
            rests_until: now,
            dropped: 0,
        }
    }

    pub(super) fn note(&mut self, said: Announcement, now: Instant, at: Timestamp) {
        self.forget(now);
        let Announcement {
            stack,
            action,
            reason,
            note,
        } = said;
        let mut entry = Entry {
            name: String::new(),
            action,
            reason,
            note,
            first: at,
            last: at,
            count: 1,
            written: 0,
            seen: now,
            due: now,
        };
        if let Some(before) = self.entries.remove(&(stack, reason)) {
            entry.due = before.due;
            if before.note == entry.note {
                entry = Entry {
                    count: before.count + 1,
                    last: at,
                    seen: now,
                    ..before
                };
            }
        }
        self.entries.insert((stack, reason), entry);
    }

    /// When there is something to write; none if there is nothing.
    pub(super) fn due(&self) -> Option<Instant> {
        let (_, first) = self.first()?;
        let allowed = self.spent_until.checked_sub(PACE * BURST);
        let allowed = allowed.unwrap_or(self.rests_until);
        Some(first.max(allowed).max(self.rests_until))
    }

    /// What is to be written, which counts as written; nothing if it is no news any more.
    pub(super) fn take(&mut self, now: Instant, ambient: &dyn Ambient) -> Option<Entry> {
        self.forget(now);
        let (key, _) = self.first()?;
        let entry = self.entries.get_mut(&key)?;
        if entry.name.is_empty() {
            let mut random = [0; 8];
            ambient.fill(&mut random);
            entry.name = format!("brokkr-agent.{:016x}", u64::from_be_bytes(random));
        }
        let taken = entry.clone();
        entry.written = entry.count;
        entry.due = now + AGAIN;
        self.spent_until = self.spent_until.max(now) + PACE;
        Some(taken)
    }

    /// Nobody may write them here: a long rest.
    pub(super) fn rest(&mut self, now: Instant) {
        self.rests_until = now + REFUSED;
    }

    /// How many were dropped since this was asked last.
    pub(super) fn dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    fn first(&self) -> Option<((StackId, Reason), Instant)> {
        let news = self.entries.iter().filter(|(_, e)| e.count > e.written);
        let dues = news.map(|(key, entry)| (*key, entry.due));
        dues.min_by_key(|(_, due)| *due)
    }

    fn forget(&mut self, now: Instant) {
        self.entries.retain(|_, entry| {
            let is_kept = now.duration_since(entry.seen) <= QUIET;
            if !is_kept && entry.count > entry.written {
                self.dropped += 1;
            }
            is_kept
        });
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::ambient::System;

    use super::*;

    fn said(stack: StackId, note: &str) -> Announcement {
        Announcement {
            stack,
            action: Action::Apply,
            reason: Reason::DriftRepaired,
            note: note.to_owned(),
        }
    }

    /// What is written in this time, if each step of a second something is noted.
    async fn written(
        seconds: u64,
        mut next: impl FnMut(u64) -> Option<Announcement>,
    ) -> Vec<Entry> {
        let mut ledger = Ledger::new(Instant::now());
        let mut written = Vec::new();
        for second in 0..seconds {
            let now = Instant::now();
            if let Some(said) = next(second) {
                ledger.note(said, now, System.now());
            }
            while ledger.due().is_some_and(|due| due <= now) {
                written.extend(ledger.take(now, &System));
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        written
    }

    #[tokio::test(start_paused = true)]
    async fn a_fight_is_one_event_that_grows() {
        let stack = StackId::generate(&System);
        let hour = written(3_600, |_| Some(said(stack, "again"))).await;
        assert_eq!(hour.len(), 12, "one each five minutes");
        assert!(hour.iter().all(|entry| entry.name == hour[0].name));
        let counts: Vec<_> = hour.iter().map(|entry| entry.count).collect();
        assert_eq!(counts[..3], [1, 301, 601]);
        assert_eq!((hour[0].written, hour[1].written), (0, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_cut() {
        let hour = written(3_600, |second| {
            let stack = StackId::generate(&System);
            (second < 3_000).then(|| said(stack, "once"))
        })
        .await;
        let most = 20 + 3_600 / 30;
        assert!(
            (most - 2..=most + 1).contains(&hour.len()),
            "{}",
            hour.len()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn other_words_are_another_event_but_no_sooner() {
        let stack = StackId::generate(&System);
        let told = written(700, |second| Some(said(stack, &second.to_string()))).await;
        let notes: Vec<_> = told.iter().map(|entry| entry.note.as_str()).collect();
        assert_eq!(notes, ["0", "300", "600"]);
        assert!(told[0].name != told[1].name && told[1].count == 1);
    }

    #[tokio::test(start_paused = true)]
    async fn who_may_not_write_tries_seldom_and_nothing_is_left_over() {
        let stack = StackId::generate(&System);
        let mut ledger = Ledger::new(Instant::now());
        ledger.note(said(stack, "a"), Instant::now(), System.now());
        assert!(ledger.take(Instant::now(), &System).is_some());
        ledger.rest(Instant::now());
        let other = StackId::generate(&System);
        ledger.note(said(other, "b"), Instant::now(), System.now());
        assert_eq!(ledger.due(), Some(Instant::now() + REFUSED));
        tokio::time::advance(REFUSED + Duration::from_secs(1)).await;
        assert!(ledger.take(Instant::now(), &System).is_none(), "no news");
        assert_eq!((ledger.dropped(), ledger.due()), (1, None));
    }
}
