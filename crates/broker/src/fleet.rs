//! What memory holds of the fleet: all that a poll reads, so that no poll waits for the database.
//!
//! The index has one writer, the follower, which moves it from one revision to the next; a reader sees
//! one revision whole.

mod freshness;
mod index;
mod keyring;
mod lineage;
mod seat;
mod token;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use brokkr_core::mutant::Mutant;
use brokkr_core::pak::{Pak, Role};
use brokkr_core::wire::TargetState;
use brokkr_core::{AgentId, DeploymentObjectId, Epoch, GeneratorId, KeyId, RequestId, StackId};
use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

pub(crate) use freshness::Freshness;
use freshness::LastStep;
pub(crate) use index::{Index, Update};
pub(crate) use seat::{Etag, Seat};
pub(crate) use token::StateToken;

use crate::contents::Wanted;
use crate::error::{Error, Result};
use crate::requests::InHand;
use crate::scope::{Caller, Identity, Origin};
use crate::session::Session;

/// What memory can tell of a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Recall {
    /// It came from this history, or from one that is known to have ended.
    Known,
    /// No broker with this database gave it to this agent.
    Foreign,
    /// Only the database can tell; with the number of the load that was asked.
    Unclear { load: u64 },
}

/// What an agent is told when it asks.
pub(crate) enum News {
    /// It knows its state, which this names, and has all that it is asked in hand.
    Nothing(Etag),
    /// Its whole state, what it is asked beside it, and what names the state.
    State(Box<TargetState>, Etag),
}

/// The fleet index, shared by all requests.
pub(crate) struct Fleet {
    index: RwLock<Index>,
    revision: watch::Sender<u64>,
    last_step: LastStep,
    /// A key that a rotation made was used first.
    pub(crate) first_use: Notify,
}

impl Fleet {
    pub(crate) fn new(index: Index) -> Self {
        let revision = watch::Sender::new(index.revision());
        Self {
            index: RwLock::new(index),
            revision,
            last_step: LastStep::now(),
            first_use: Notify::new(),
        }
    }

    /// The database was seen, whether or not anything had changed.
    pub(crate) fn followed(&self) {
        self.last_step.touch();
    }

    /// How well the index is known to follow the database.
    pub(crate) fn freshness(&self) -> Freshness {
        self.last_step.freshness()
    }

    /// How long ago the database was seen.
    pub(crate) fn age(&self) -> Duration {
        self.last_step.age()
    }

    /// The random id of the index's revision.
    pub(crate) fn lineage(&self) -> Uuid {
        self.read().lineage().newest()
    }

    /// How far the index is.
    pub(crate) fn revision(&self) -> u64 {
        *self.revision.borrow()
    }

    /// Waits until the index has reached a revision.
    pub(crate) async fn reached(&self, revision: u64) {
        // The sender lives as long as the fleet, so waiting cannot fail.
        let _ = self
            .revision
            .subscribe()
            .wait_for(|reached| *reached >= revision)
            .await;
    }

    /// Waits until the index is of a history.
    pub(crate) async fn follows(&self, epoch: Epoch) {
        let mut revision = self.revision.subscribe();
        // The sender lives as long as the fleet, so waiting cannot fail.
        let _ = revision.wait_for(|_| self.read().epoch() == epoch).await;
    }

    /// Grows when all is loaded anew, which may be another history.
    pub(crate) fn load_number(&self) -> u64 {
        self.read().load_number()
    }

    /// Who a key belongs to; nobody if it is unknown, has ended or has a wrong secret.
    pub(crate) fn authenticate(&self, pak: &Pak, now: Timestamp) -> Option<Caller> {
        // Before it is known whether there is such a key: else the time of a refusal would tell.
        let hash = pak.hash();
        let index = self.read();
        if index.key(pak.id())?.hash != hash {
            return None;
        }
        self.holder(pak.id(), now, &index)
    }

    /// Who signed in and was given this token; nobody if the sign-in is over, or its key.
    pub(crate) fn signed_in(&self, token: &Pak, now: Timestamp) -> Option<Caller> {
        let hash = token.hash();
        let index = self.read();
        let sign_in = index.sign_in(token.id().uuid().into())?;
        if sign_in.hash != hash || sign_in.expires_at <= now {
            return None;
        }
        let holder = self.holder(sign_in.key, now, &index)?;
        Some(Caller {
            sign_in: Some(sign_in.id),
            ..holder
        })
    }

    /// Who has a key, if it is good, and uses it.
    fn holder(&self, id: KeyId, now: Timestamp, index: &Index) -> Option<Caller> {
        let key = index.key(id)?;
        if !key.life.is_good(now) {
            return None;
        }
        let identity = match (key.role, key.owner) {
            (Role::Admin, _) => Identity::Admin,
            (Role::Agent, Some(id)) => Identity::Agent(id.into()),
            (Role::Generator, Some(id)) => {
                Identity::Generator(id.into(), index.generator(id.into())?.clone())
            }
            (Role::Agent | Role::Generator, None) => return None,
        };
        key.used.note(now);
        if key.is_unused() {
            self.first_use.notify_one();
        }
        Some(Caller {
            key: id,
            identity,
            sign_in: None,
            origin: Origin::default(),
        })
    }

    /// Whether a key is still good, and the sign-in with it.
    pub(crate) fn is_key_good(&self, caller: &Caller, now: Timestamp) -> bool {
        let index = self.read();
        let key = index.key(caller.key);
        let is_signed_in = |id| {
            let sign_in = index.sign_in(id);
            sign_in.is_some_and(|sign_in| sign_in.expires_at > now)
        };
        key.is_some_and(|key| key.life.is_good(now)) && caller.sign_in.is_none_or(is_signed_in)
    }

    /// Refuses what an agent asks in a session that is over.
    pub(crate) fn is_of_latest_session(&self, caller: &Caller, session: Session) -> Result<()> {
        let Identity::Agent(agent) = caller.identity else {
            return Ok(());
        };
        if session.is_before(self.read().latest_session(agent)) && !Mutant::SessionIgnored.is_on() {
            return Err(Error::SessionSuperseded);
        }
        Ok(())
    }

    /// Whether an agent was retired.
    pub(crate) fn is_retired(&self, agent: AgentId) -> bool {
        self.read().is_retired(agent)
    }

    /// When a key was used last at this replica.
    pub(crate) fn last_use(&self, key: KeyId) -> Option<Timestamp> {
        self.read().key(key)?.used.at()
    }

    /// The uses of keys that were not given out here before.
    pub(crate) fn unflushed_uses(&self) -> Vec<(KeyId, Timestamp)> {
        self.read().keys().unflushed_uses()
    }

    /// Notes that these uses were written.
    pub(crate) fn flushed_uses(&self, uses: &[(KeyId, Timestamp)]) {
        self.read().keys().flushed_uses(uses);
    }

    /// The keys that are known to be unused, and were used here.
    pub(crate) fn first_uses(&self) -> Vec<(KeyId, Timestamp)> {
        self.read().keys().first_uses()
    }

    /// The keys whose time is over. The polls of their agents wake, to see whether they came with such a key.
    pub(crate) fn ended_keys(&self, now: Timestamp) -> Vec<KeyId> {
        let index = self.read();
        let ended = index.keys().ended(now);
        for owner in ended.iter().filter_map(|(_, owner)| *owner) {
            if let Some(seat) = index.seat(owner.into()) {
                seat.wake();
            }
        }
        ended.into_iter().map(|(key, _)| key).collect()
    }

    /// Where an agent's polls wait.
    pub(crate) fn seat(&self, agent: AgentId) -> Option<Arc<Seat>> {
        self.read().seat(agent)
    }

    /// All seats with their agents.
    pub(crate) fn seats(&self) -> Vec<(AgentId, Arc<Seat>)> {
        self.read().seats()
    }

    /// What there is to tell an agent that knows a state and has requests in hand; without those, it is asked nothing.
    pub(crate) fn news(
        &self,
        agent: AgentId,
        seat: &Seat,
        known: Option<Etag>,
        in_hand: Option<&InHand>,
        now: Timestamp,
    ) -> Option<News> {
        let index = self.read();
        let is_asked = in_hand.is_some_and(|in_hand| {
            let mut requests = index.requests(agent, now);
            requests.any(|request| !in_hand.has(request.id))
        });
        // Tags are kept under the read lock: the follower cannot invalidate one between reading and keeping it.
        if let Some(etag) = seat.etag()
            && Some(etag) == known
            && !is_asked
        {
            return Some(News::Nothing(etag));
        }
        let mut state = index.target_state(agent)?;
        let etag = seat.etag_or(|| Etag::of(&state));
        if Some(etag) == known && !is_asked {
            return Some(News::Nothing(etag));
        }
        state.requests = index.requests(agent, now).cloned().collect();
        Some(News::State(Box::new(state), etag))
    }

    /// Whether a request still waits for its agent's answer.
    pub(crate) fn is_open(&self, agent: AgentId, request: RequestId, now: Timestamp) -> bool {
        let index = self.read();
        index.requests(agent, now).any(|open| open.id == request)
    }

    /// What memory can tell of a token that an agent returned.
    pub(crate) fn recall(&self, agent: AgentId, seat: &Seat, token: StateToken) -> Recall {
        let index = self.read();
        if seat.is_known(&token) {
            return Recall::Known;
        }
        let recall = index.recall(agent, &token);
        if recall == Recall::Known {
            // Under the read lock: no other history can be loaded between looking and keeping.
            seat.know(token);
        }
        recall
    }

    /// Keeps that a token was found in the database, unless all was loaded anew since it was looked for.
    pub(crate) fn found(&self, load: u64, seat: &Seat, token: StateToken) {
        if self.read().load_number() == load {
            seat.know(token);
        }
    }

    /// The content of a deployment object, if it is one that an agent is to run now.
    pub(crate) fn content(&self, agent: AgentId, object: DeploymentObjectId) -> Option<Wanted> {
        self.read().content(agent, object)
    }

    /// Whether an agent runs a stack.
    pub(crate) fn runs(&self, agent: AgentId, stack: StackId) -> bool {
        self.read().runs(agent, stack)
    }

    /// Whether an agent runs a stack, or removes it.
    pub(crate) fn has(&self, agent: AgentId, stack: StackId) -> bool {
        self.read()
            .stacks_of(agent)
            .any(|of_agent| of_agent == stack)
    }

    /// Whether an agent has a stack of a generator.
    pub(crate) fn serves(&self, agent: AgentId, generator: GeneratorId) -> bool {
        let index = self.read();
        let mut owners = index
            .stacks_of(agent)
            .filter_map(|stack| index.owner(stack));
        owners.any(|owner| owner == generator.uuid())
    }

    /// The owners of those of the stacks that are known.
    pub(crate) fn owners(&self, stacks: &HashSet<StackId>) -> HashMap<StackId, Uuid> {
        let index = self.read();
        let owned = stacks
            .iter()
            .filter_map(|id| Some((*id, index.owner(*id)?)));
        owned.collect()
    }

    /// The random id of a revision, if it is among the newest.
    pub(crate) fn lineage_at(&self, revision: u64) -> Option<Uuid> {
        self.read().lineage().at(revision)
    }

    /// Moves the index to a later revision and wakes the agents whose state changed.
    pub(crate) fn apply(&self, update: Update) {
        let (revision, woken) = {
            let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
            let woken = index.apply(update);
            for seat in &woken {
                seat.invalidate();
            }
            (index.revision(), woken)
        };
        self.publish(revision, &woken);
    }

    /// Replaces the whole index; polls that wait keep their seats.
    pub(crate) fn replace(&self, mut index: Index) {
        let revision = index.revision();
        let woken: Vec<_> = {
            let mut current = self.index.write().unwrap_or_else(PoisonError::into_inner);
            let orphaned = index.take_seats_of(&current);
            for (_, seat) in current.seats() {
                seat.forget();
            }
            *current = index;
            current
                .seats()
                .into_iter()
                .map(|(_, seat)| seat)
                .chain(orphaned)
                .collect()
        };
        for seat in &woken {
            seat.invalidate();
        }
        self.publish(revision, &woken);
    }

    fn publish(&self, revision: u64, woken: &[Arc<Seat>]) {
        self.revision.send_replace(revision);
        for seat in woken {
            seat.wake();
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Index> {
        // A panic of another reader leaves the index whole; the writer changes it by plain assignments.
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }
}
