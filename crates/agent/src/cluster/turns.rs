//! Whose turn it is to ask the API server, how many ask at the same time, and when nobody does.
//!
//! What is not answered must not use up what others need. So a stack begins with one request, has more under way as they
//! are answered, and one again when an answer is late; whoever has the fewest is next; and a part of the turns is kept
//! for those who have none. Only when the server says that all is too much for it, all have less under way.

mod budget;
mod limit;

use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brokkr_core::StackId;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use budget::Budget;
use limit::Limit;

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Asker {
    /// The agent for itself: its records, and what all stacks need to know.
    Agent,
    Stack(StackId),
}

/// One part in so many is kept for those who have nothing under way.
const KEPT: usize = 4;
/// An API server that is well answers sooner, unless it asks somebody else.
const LATE: Duration = Duration::from_secs(1);
/// Nobody keeps a whole agent waiting for longer.
const LONGEST_REST: Duration = Duration::from_secs(10);

pub(super) struct Turns {
    /// How many one asker may have.
    pub(super) share: usize,
    state: Mutex<State>,
}

struct State {
    limit: Limit,
    budget: Budget,
    taken: usize,
    /// How many were ever given.
    given: u64,
    parties: BTreeMap<Asker, Party>,
}

/// One asker's side.
struct Party {
    limit: Limit,
    taken: usize,
    waiting: VecDeque<oneshot::Sender<()>>,
    /// The number of the turn that it was given last.
    last: u64,
}

/// A turn to send one request, or a place in the queue for it.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    asker: Asker,
    call: oneshot::Receiver<()>,
    is_taken: bool,
    sent: Instant,
}

impl Turns {
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1);
        let state = State {
            limit: Limit::new(most, most),
            budget: Budget::without_bound(Instant::now()),
            taken: 0,
            given: 0,
            parties: BTreeMap::new(),
        };
        Self {
            share: most - most / KEPT,
            state: Mutex::new(state),
        }
    }

    /// Gives no more than this many a second.
    pub(super) fn set_rate(&self, per_second: u32) {
        self.state().budget.set_rate(per_second);
    }

    /// Waits for a turn.
    pub(super) async fn take(&self, asker: Asker) -> Turn<'_> {
        let mut turn = self.line_up(asker);
        turn.is_taken = (&mut turn.call).await.is_ok();
        self.pace().await;
        turn.sent = Instant::now();
        turn
    }

    /// Waits until one more request is within the budget.
    pub(super) async fn pace(&self) {
        loop {
            let due = self.state().budget.take(Instant::now());
            if due > Instant::now() {
                sleep_until(due).await;
            }
            if self.state().budget.stands(due) {
                return;
            }
        }
    }

    /// Sends nothing for as long as the server wishes.
    pub(super) fn rest(&self, wish: Option<Duration>) {
        if let Some(wish) = wish {
            let until = Instant::now() + wish.min(LONGEST_REST);
            self.state().budget.rest(until);
        }
    }

    /// Forgets how a stack was answered that is no more.
    pub(super) fn forget(&self, asker: Asker) {
        let mut state = self.state();
        state
            .parties
            .retain(|other, party| *other != asker || !party.is_at_rest());
    }

    fn line_up(&self, asker: Asker) -> Turn<'_> {
        let (caller, call) = oneshot::channel();
        let mut state = self.state();
        let party = state.parties.entry(asker).or_insert_with(|| Party {
            limit: Limit::new(1, self.share),
            taken: 0,
            waiting: VecDeque::new(),
            last: 0,
        });
        party.waiting.push_back(caller);
        state.call();
        Turn {
            turns: self,
            asker,
            call,
            is_taken: false,
            sent: Instant::now(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Gives all turns that may be given.
    fn call(&mut self) {
        while let Some(asker) = self.next() {
            let Some(party) = self.parties.get_mut(&asker) else {
                return;
            };
            let call = party.waiting.pop_front();
            // Who does not wait any more is passed over.
            if call.is_some_and(|call| call.send(()).is_ok()) {
                self.given += 1;
                self.taken += 1;
                party.taken += 1;
                party.last = self.given;
            }
        }
    }

    /// Of those who may have another one, the one who has the fewest; of several, who has waited longest.
    fn next(&self) -> Option<Asker> {
        let most = self.limit.size();
        let free = most.saturating_sub(self.taken);
        let is_next = |party: &Party| match party.taken {
            _ if party.waiting.is_empty() => false,
            0 => free > 0,
            taken => free > most / KEPT && taken < party.limit.size(),
        };
        let waiting = self.parties.iter().filter(|(_, party)| is_next(party));
        let next = waiting.min_by_key(|(_, party)| (party.taken, party.last));
        next.map(|(asker, _)| *asker)
    }
}

impl Party {
    fn is_at_rest(&self) -> bool {
        self.taken == 0 && self.waiting.is_empty()
    }
}

impl Turn<'_> {
    /// Waits for the answer to what was sent, and notes it when it is late.
    pub(super) async fn wait_for<T>(&self, answer: impl Future<Output = T>) -> T {
        let mut answer = pin!(answer);
        if let Ok(answer) = timeout(LATE, &mut answer).await {
            return answer;
        }
        let now = Instant::now();
        self.tell(|_, party| party.limit.late(now));
        answer.await
    }

    /// The answer is there.
    pub(super) fn answered(&self) {
        if self.sent.elapsed() < LATE {
            self.tell(|limit, party| {
                limit.answered();
                party.limit.answered();
            });
        }
    }

    /// The server could not do this one thing.
    pub(super) fn failed(&self) {
        let now = Instant::now();
        self.tell(|_, party| party.limit.refused(self.sent, now));
    }

    /// The server had too much to do.
    pub(super) fn refused(&self, wish: Option<Duration>) {
        let now = Instant::now();
        self.tell(|limit, party| {
            limit.refused(self.sent, now);
            party.limit.refused(self.sent, now);
        });
        self.turns.rest(wish);
    }

    fn tell(&self, what: impl FnOnce(&mut Limit, &mut Party)) {
        let state = &mut *self.turns.state();
        if let Some(party) = state.parties.get_mut(&self.asker) {
            what(&mut state.limit, party);
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.turns.state();
        // It may have been called just now.
        self.call.close();
        if self.is_taken || self.call.try_recv().is_ok() {
            state.taken -= 1;
            if let Some(party) = state.parties.get_mut(&self.asker) {
                party.taken -= 1;
            }
        }
        state.call();
    }
}

#[cfg(test)]
mod tests;
