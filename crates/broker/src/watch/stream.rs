use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::Event;
use brokkr_core::wire::Hint;
use futures::{Stream, StreamExt, stream};
use tokio::time::sleep;

use super::{Cursor, Reader, Sight, Told};
use crate::Broker;
use crate::fleet::Freshness;
use crate::limits::Permit;
use crate::scope::Caller;
use crate::store::broker::Progress;

/// How often it is looked whether the key is still good.
const LOOK: Duration = Duration::from_secs(1);
/// What changes again within this time is told once.
const PACE: Duration = Duration::from_millis(100);

/// Somebody who watches.
struct Watcher {
    broker: Arc<Broker>,
    caller: Caller,
    sight: Sight,
    reader: Reader,
    /// One of those that a key may have at once, for as long as this one goes on.
    _permit: Permit,
}

/// The events that somebody sees who has come as far as the cursor. They end with the key, and with the broker.
pub(crate) fn stream(
    broker: Arc<Broker>,
    caller: Caller,
    permit: Permit,
    sight: Sight,
    cursor: Option<Cursor>,
) -> impl Stream<Item = Event> {
    let is_of_this_history =
        |cursor: &Cursor| broker.fleet.lineage_at(cursor.seen.revision) == Some(cursor.lineage);
    let seen = cursor.filter(is_of_this_history).map(|cursor| cursor.seen);
    let watcher = Watcher {
        reader: Arc::clone(&broker.feed).enter(seen),
        broker,
        caller,
        sight,
        _permit: permit,
    };
    stream::unfold(watcher, async |mut watcher| {
        let events = watcher.next().await?;
        Some((stream::iter(events), watcher))
    })
    .flatten()
}

impl Watcher {
    /// The next events; nothing at the end.
    async fn next(&mut self) -> Option<Vec<Event>> {
        while self.may_go_on() {
            let (told, upto) = self.reader.read();
            let events = self.events(told, upto);
            if !events.is_empty() {
                return Some(events);
            }
            tokio::select! {
                () = self.reader.moved() => sleep(PACE).await,
                () = sleep(LOOK) => {}
                () = self.broker.stopping.cancelled() => {}
            }
        }
        None
    }

    fn may_go_on(&self) -> bool {
        let Broker {
            fleet,
            ambient,
            stopping,
            ..
        } = &*self.broker;
        fleet.freshness() != Freshness::Lost
            && fleet.is_key_good(&self.caller, ambient.now())
            && !stopping.is_cancelled()
    }

    /// What is seen of what was told, each thing once. The last event carries the cursor: who is cut off before it gets all
    /// of them again.
    fn events(&self, told: Option<Vec<Told>>, upto: Progress) -> Vec<Event> {
        let Some(told) = told else {
            return vec![self.mark(Event::default().event("reset").data("{}"), upto)];
        };
        let seen = told
            .iter()
            .filter(|told| self.sight.sees(told, &self.broker.fleet));
        let last: HashMap<_, _> = seen
            .map(|told| (told.hint.about, told.hint.version))
            .collect();
        let hints = last
            .into_iter()
            .map(|(about, version)| Hint { about, version });
        let mut hints: Vec<_> = hints.collect();
        hints.sort_by_key(|hint| hint.version);
        let texts = hints
            .iter()
            .filter_map(|hint| serde_json::to_string(hint).ok());
        let mut events: Vec<_> = texts
            .map(|text| Event::default().event("hint").data(text))
            .collect();
        let last = events.pop().map(|last| self.mark(last, upto));
        events.extend(last);
        events
    }

    /// Says with an event how far it is.
    fn mark(&self, event: Event, upto: Progress) -> Event {
        let lineage = self.broker.fleet.lineage_at(upto.revision);
        let cursor = Cursor {
            seen: upto,
            lineage: lineage.unwrap_or_default(),
        };
        event.id(cursor.to_string())
    }
}
