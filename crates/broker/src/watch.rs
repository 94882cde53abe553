//! The live feed: hints of what changed, for those who watch.
//!
//! The [`crate::follower`] puts them together, once a replica, from what it reads anyway for the fleet index and from the
//! feed of reports; nobody watching costs nothing. They are held in memory: who was away for longer than they reach back,
//! or comes from another history, is told to read everything anew.

mod cursor;
mod ring;
mod sight;
mod stream;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

pub(crate) use cursor::Cursor;
pub(crate) use ring::Told;
use ring::{Place, Ring};
pub(crate) use sight::Sight;
pub(crate) use stream::stream;

use crate::store::broker::Progress;

/// Who loses the connection comes back within this time, and finds what was missed.
const ABSENCE: Duration = Duration::from_mins(1);

/// What is told to all who watch at this replica.
pub(crate) struct Feed {
    state: Mutex<State>,
    moved: watch::Sender<()>,
}

struct State {
    ring: Ring,
    readers: usize,
    /// When the last one left.
    left: Option<Instant>,
}

/// Somebody who watches, and how far they are.
pub(crate) struct Reader {
    feed: Arc<Feed>,
    position: Position,
    moved: watch::Receiver<()>,
}

enum Position {
    /// At the beginning, having seen so much elsewhere, or nothing.
    Beginning(Option<Progress>),
    At(Place),
}

impl Feed {
    /// What happens after a place will be told.
    pub(crate) fn new(upto: Progress) -> Self {
        let state = State {
            ring: Ring::new(upto),
            readers: 0,
            left: None,
        };
        Self {
            state: Mutex::new(state),
            moved: watch::Sender::new(()),
        }
    }

    /// How far it is.
    pub(crate) fn upto(&self) -> Progress {
        self.state().ring.upto()
    }

    /// Whether somebody watches, or will come back.
    pub(crate) fn is_watched(&self) -> bool {
        let state = self.state();
        state.readers > 0 || state.left.is_some_and(|left| left.elapsed() < ABSENCE)
    }

    /// Tells what happened up to a place; if that is not known, everybody reads everything anew.
    pub(crate) fn advance(&self, upto: Progress, told: Option<Vec<Told>>) {
        match told {
            Some(told) => self.state().ring.extend(upto, told),
            None => self.state().ring.restart(upto),
        }
        self.moved.send_replace(());
    }

    /// Somebody begins to watch who has seen so much, or nothing yet.
    pub(crate) fn enter(self: Arc<Self>, seen: Option<Progress>) -> Reader {
        self.state().readers += 1;
        Reader {
            moved: self.moved.subscribe(),
            feed: self,
            position: Position::Beginning(seen),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader {
    /// Waits until there may be something.
    pub(crate) async fn moved(&mut self) {
        // The sender lives as long as the feed, so waiting cannot fail.
        let _ = self.moved.changed().await;
    }

    /// What was told since the last look, and how far that is; nothing if it is not known any more.
    pub(crate) fn read(&mut self) -> (Option<Vec<Told>>, Progress) {
        let state = self.feed.state();
        let ring = &state.ring;
        let told = match self.position {
            Position::Beginning(seen) => seen.and_then(|seen| ring.unseen(seen)),
            Position::At(place) => ring.after(place),
        };
        self.position = Position::At(ring.end());
        (told, ring.upto())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.feed.state();
        state.readers -= 1;
        state.left = Some(Instant::now());
    }
}
