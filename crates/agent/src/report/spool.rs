//! The events that wait to be said, in the order in which they happened. They lie in the cache, so that they may outlast the
//! process, and memory has only what finds them.

use std::collections::BTreeMap;

use brokkr_core::ambient::Ambient;
use brokkr_core::failpoint::Point;
use brokkr_core::wire::{Action, AgentEvent, Outcome};
use brokkr_core::{EventId, StackId};
use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::monitor::Figures;

const EVENT: &str = "event-";
/// The most events that wait, and the most bytes of them. What is over is dropped: of successes and of the rest the
/// oldest ones, successes first.
const MOST_EVENTS: usize = 10_000;
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// The most events in a report.
const BATCH: usize = 100;
/// A report ends when it has so many bytes: a broker reads 1 MiB.
const BATCH_BYTES: usize = 900 * 1024;

/// What a file has.
#[derive(Serialize, Deserialize)]
struct Record {
    event: AgentEvent,
    /// Whether it only tells how many others were dropped.
    #[serde(default)]
    is_loss: bool,
}

/// A place in the order. The id tells those apart which two processes put there.
type Place = (u64, EventId);

/// What is known of a waiting event without reading it.
struct Waiting {
    stack: StackId,
    count: u64,
    bytes: usize,
    is_success: bool,
    is_loss: bool,
}

pub(super) struct Spool {
    cache: Cache,
    figures: Figures,
    waiting: BTreeMap<Place, Waiting>,
    bytes: usize,
    /// Some event of the next batch was refused: send one at a time to find it.
    suspects: usize,
}

impl Spool {
    /// The events that an earlier process could not say.
    pub(super) async fn open(cache: Cache, figures: Figures) -> Self {
        let mut spool = Self {
            cache,
            figures,
            waiting: BTreeMap::new(),
            bytes: 0,
            suspects: 0,
        };
        for name in spool.cache.names(EVENT).await {
            let found = spool.cache.read(&name).await;
            let record = found
                .as_deref()
                .and_then(|json| serde_json::from_slice(json).ok());
            if let (Some(place), Some(record)) = (place_of(&name), record) {
                let bytes = found.map_or(0, |json| json.len());
                spool.enter(place, &record, bytes);
            } else {
                tracing::warn!(
                    file = name,
                    "an event that waited to be told is damaged: dropped"
                );
                spool.cache.remove(&name).await;
            }
        }
        spool.count();
        spool
    }

    /// Adds an event, in place of the same one with a lower count.
    pub(super) async fn put(&mut self, event: AgentEvent, ambient: &dyn Ambient) {
        let record = Record {
            event,
            is_loss: false,
        };
        let waiting = self
            .waiting
            .keys()
            .rev()
            .find(|(_, id)| *id == record.event.id);
        let place = if let Some(place) = waiting {
            *place
        } else {
            self.make_room(ambient).await;
            (self.next(), record.event.id)
        };
        self.write(place, &record).await;
        Point::EventKept.reached();
    }

    /// The events to say next.
    pub(super) async fn batch(&mut self) -> Vec<AgentEvent> {
        let mut batch = Vec::new();
        while batch.is_empty() && !self.waiting.is_empty() {
            for place in self.first() {
                match self.read(place).await {
                    Some(record) => batch.push(record.event),
                    None => self.take_out(place).await,
                }
            }
        }
        batch
    }

    /// Takes out what was said; an event whose count grew meanwhile is said again.
    pub(super) async fn said(&mut self, batch: &[AgentEvent]) {
        self.suspects = self.suspects.saturating_sub(batch.len());
        for event in batch {
            if let Some(place) = self.place_of(event.id)
                && self.waiting[&place].count == event.count
            {
                self.take_out(place).await;
            }
        }
    }

    /// Takes out an event that is not taken, or prepares to find it in a batch.
    pub(super) async fn refused(&mut self, batch: &[AgentEvent]) {
        match batch {
            [event] => {
                self.suspects = self.suspects.saturating_sub(1);
                if let Some(place) = self.place_of(event.id) {
                    self.take_out(place).await;
                }
            }
            _ => self.suspects = batch.len(),
        }
    }

    /// The places of the next batch.
    fn first(&self) -> Vec<Place> {
        let most = if self.suspects > 0 { 1 } else { BATCH };
        let mut bytes = 0;
        let waiting = self.waiting.iter().take(most);
        let fits = waiting.take_while(|(_, waiting)| {
            let is_first = bytes == 0;
            bytes += waiting.bytes;
            is_first || bytes <= BATCH_BYTES
        });
        fits.map(|(place, _)| *place).collect()
    }

    /// Drops what has to go for one more, and tells of it.
    async fn make_room(&mut self, ambient: &dyn Ambient) {
        let mut dropped = None;
        while self.waiting.len() + 1 >= MOST_EVENTS || self.bytes > MOST_BYTES {
            let Some(place) = self.least() else { break };
            let (first, stack, count) = dropped.unwrap_or((place, self.waiting[&place].stack, 0));
            self.take_out(place).await;
            dropped = Some((first, stack, count + 1));
        }
        if let Some((place, stack, count)) = dropped {
            self.figures.events_dropped.inc_by(count);
            self.tell_loss(place, stack, count, ambient).await;
        }
    }

    /// The event that is missed least.
    fn least(&self) -> Option<Place> {
        let others = || self.waiting.iter().filter(|(_, waiting)| !waiting.is_loss);
        let success = others().find(|(_, waiting)| waiting.is_success);
        success.or_else(|| others().next()).map(|(place, _)| *place)
    }

    /// That events were dropped is an event, where the first of them was; the next ones grow its count.
    async fn tell_loss(&mut self, place: Place, stack: StackId, count: u64, ambient: &dyn Ambient) {
        let told = self.waiting.iter().find(|(_, waiting)| waiting.is_loss);
        let told = told.map(|(place, _)| *place);
        if let Some(told) = told
            && let Some(mut record) = self.read(told).await
        {
            record.event.count += count;
            record.event.last = ambient.now();
            return self.write(told, &record).await;
        }
        tracing::warn!("too many events wait for the broker: the oldest are dropped, and counted");
        let (id, now) = (EventId::generate(ambient), ambient.now());
        let event = AgentEvent {
            id,
            stack,
            deployment_object: None,
            sequence: None,
            action: Action::Apply,
            outcome: Outcome::Failed,
            reason: Some(LOSS.to_owned()),
            objects: Vec::new(),
            count,
            first: now,
            last: now,
        };
        let record = Record {
            event,
            is_loss: true,
        };
        self.write((place.0, id), &record).await;
    }

    fn next(&self) -> u64 {
        self.waiting
            .keys()
            .next_back()
            .map_or(0, |(last, _)| last + 1)
    }

    fn place_of(&self, event: EventId) -> Option<Place> {
        self.waiting.keys().find(|(_, id)| *id == event).copied()
    }

    async fn read(&self, place: Place) -> Option<Record> {
        let json = self.cache.read(&name_of(place)).await?;
        serde_json::from_slice(&json).ok()
    }

    async fn write(&mut self, place: Place, record: &Record) {
        // What it is made of has a JSON form.
        let json = serde_json::to_vec(record).unwrap_or_default();
        let bytes = json.len();
        self.cache.write(&name_of(place), json.into()).await;
        self.enter(place, record, bytes);
    }

    fn enter(&mut self, place: Place, record: &Record, bytes: usize) {
        let waiting = Waiting {
            stack: record.event.stack,
            count: record.event.count,
            bytes,
            is_success: record.event.outcome == Outcome::Succeeded,
            is_loss: record.is_loss,
        };
        let before = self.waiting.insert(place, waiting);
        self.bytes += bytes;
        self.bytes -= before.map_or(0, |before| before.bytes);
        self.count();
    }

    fn count(&self) {
        let waiting = i64::try_from(self.waiting.len()).unwrap_or(i64::MAX);
        self.figures.events_unsent.set(waiting);
    }

    async fn take_out(&mut self, place: Place) {
        if let Some(waiting) = self.waiting.remove(&place) {
            self.bytes -= waiting.bytes;
        }
        self.count();
        self.cache.remove(&name_of(place)).await;
    }
}

/// What the count of such an event counts.
const LOSS: &str = "so many events of this agent were dropped: the broker was away for too long; what this stack came to is in its status";

fn name_of((number, id): Place) -> String {
    format!("{EVENT}{number:020}-{id}")
}

fn place_of(name: &str) -> Option<Place> {
    let (number, id) = name.strip_prefix(EVENT)?.split_once('-')?;
    Some((number.parse().ok()?, id.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use brokkr_core::ambient::System;

    use super::*;

    fn event(outcome: Outcome) -> AgentEvent {
        AgentEvent {
            id: EventId::generate(&System),
            stack: StackId::generate(&System),
            deployment_object: None,
            sequence: None,
            action: Action::Apply,
            outcome,
            reason: None,
            objects: Vec::new(),
            count: 1,
            first: System.now(),
            last: System.now(),
        }
    }

    async fn filled(cache: &Cache, events: &[AgentEvent]) -> Spool {
        let mut spool = Spool::open(cache.clone(), Figures::default()).await;
        for event in events {
            spool.put(event.clone(), &System).await;
        }
        spool
    }

    /// Everything that waits, as a broker takes it that refuses what `is_bad`.
    async fn taken(spool: &mut Spool, is_bad: impl Fn(&AgentEvent) -> bool) -> Vec<AgentEvent> {
        let mut taken = Vec::new();
        while let batch = spool.batch().await
            && !batch.is_empty()
        {
            if batch.iter().any(&is_bad) {
                spool.refused(&batch).await;
            } else {
                spool.said(&batch).await;
                taken.extend(batch);
            }
        }
        taken
    }

    #[tokio::test]
    async fn events_outlast_the_process_in_their_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = || Cache::in_folder(folder.path()).expect("a cache");
        let events: Vec<_> = (0..250).map(|_| event(Outcome::Failed)).collect();
        let mut spool = filled(&cache(), &events[..200]).await;
        let said = spool.batch().await;
        assert_eq!(said, events[..BATCH]);
        spool.said(&said).await;
        // One more process that cannot say anything, and one that can.
        filled(&cache(), &events[200..]).await;
        let mut spool = Spool::open(cache(), Figures::default()).await;
        assert_eq!(taken(&mut spool, |_| false).await, events[BATCH..]);
        assert!(cache().names("").await.is_empty());
    }

    #[tokio::test]
    async fn an_event_that_grew_while_it_was_said_is_said_again() {
        let first = event(Outcome::Failed);
        let mut spool = filled(&Cache::in_memory(), std::slice::from_ref(&first)).await;
        let said = spool.batch().await;
        spool.put(AgentEvent { count: 2, ..first }, &System).await;
        spool.said(&said).await;
        let again = spool.batch().await;
        assert_eq!(again.first().map(|event| event.count), Some(2));
        spool.said(&again).await;
        assert!(spool.batch().await.is_empty());
    }

    #[tokio::test]
    async fn one_event_that_is_not_taken_holds_up_no_other() {
        let events = [(); 3].map(|()| event(Outcome::Failed));
        let mut spool = filled(&Cache::in_memory(), &events).await;
        let taken = taken(&mut spool, |event| event.id == events[1].id).await;
        assert_eq!(taken, [events[0].clone(), events[2].clone()]);
    }

    #[tokio::test]
    async fn what_is_too_much_is_dropped_and_counted_successes_first() {
        let cache = Cache::in_memory();
        let mut events = vec![event(Outcome::Failed)];
        events.extend((0..MOST_EVENTS + 3).map(|_| event(Outcome::Succeeded)));
        let last = event(Outcome::Held);
        events.push(last.clone());
        drop(filled(&cache, &events).await);
        let mut spool = Spool::open(cache, Figures::default()).await;
        let taken = taken(&mut spool, |_| false).await;
        assert!(taken.len() <= MOST_EVENTS && taken.len() > MOST_EVENTS - 3);
        assert_eq!((&taken[0], taken.last()), (&events[0], Some(&last)));
        assert!(
            taken[1]
                .reason
                .as_deref()
                .is_some_and(|reason| reason == LOSS)
        );
        // All but those two and itself.
        let kept = taken.len() - 1;
        assert_eq!(taken[1].count, (events.len() - kept) as u64);
    }

    #[tokio::test]
    async fn large_events_are_bounded_too_and_travel_in_several_reports() {
        let large = || AgentEvent {
            reason: Some("x".repeat(BATCH_BYTES / 2)),
            ..event(Outcome::Failed)
        };
        let events: Vec<_> = (0..60).map(|_| large()).collect();
        let mut spool = filled(&Cache::in_memory(), &events).await;
        assert!(spool.bytes <= MOST_BYTES + BATCH_BYTES, "{}", spool.bytes);
        let batch = spool.batch().await;
        let bytes = serde_json::to_vec(&batch).expect("JSON").len();
        assert!(!batch.is_empty() && bytes < 1024 * 1024, "{bytes}");
        assert_eq!(batch[0].reason.as_deref(), Some(LOSS));
    }

    #[tokio::test]
    async fn a_damaged_event_holds_up_no_other() {
        let cache = Cache::in_memory();
        let events = [(); 2].map(|()| event(Outcome::Failed));
        drop(filled(&cache, &events).await);
        let name = cache.names(EVENT).await.first().cloned().expect("an event");
        cache.write(&name, "{".into()).await;
        let mut spool = Spool::open(cache, Figures::default()).await;
        assert_eq!(taken(&mut spool, |_| false).await, events[1..]);
    }
}
