//! What is paused, or not named at all, is not touched: beyond the objects that were in hand.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use brokkr_core::StackId;
use brokkr_core::wire::{PAUSE, Sync, TargetAgent, TargetState};

use super::broker::Target;
use super::object::Place;
use super::world::World;

/// From the note of a state, of which the agent knows, to the last of its workers that hears of it: no time at all.
const HEARING: Duration = Duration::from_millis(1);
/// Between two requests about an object that is in hand, for example while it ends and is to be made anew.
const BREATH: Duration = Duration::from_secs(30);

/// Two such answers count in any case.
const TWICE: Duration = Duration::from_secs(20);
/// Two that are closer are one.
const ECHO: Duration = Duration::from_secs(8);
const HOUR: Duration = Duration::from_hours(1);

/// What the agent was told of its own end.
#[derive(Default)]
pub struct Farewell {
    first: Option<Duration>,
    /// The broker has told it who it is.
    pub knows_itself: bool,
    pub may_have_let_go: bool,
    has_let_go: bool,
}

/// When the agent was told to leave which stacks alone, and what it had in hand.
#[derive(Default)]
pub struct Stillness {
    /// The stacks that may be changed by the state that the agent acts upon; none before it does.
    lively: Option<BTreeSet<StackId>>,
    since: BTreeMap<StackId, (Duration, BTreeSet<String>)>,
    /// The objects that requests are or were about, and when the last one ends.
    asked: BTreeMap<String, Duration>,
}

impl Stillness {
    /// The agent that had something in hand is no more.
    pub fn begin_life(&mut self) {
        self.asked.clear();
        for (_, in_hand) in self.since.values_mut() {
            in_hand.clear();
        }
    }

    /// A request about an object begins, and takes until then.
    pub fn saw_request(&mut self, path: &str, now: Duration, end: Duration) {
        // It has not been heard yet that this is to be left alone.
        for (since, in_hand) in self.since.values_mut() {
            if now < *since {
                in_hand.insert(path.to_owned());
            }
        }
        self.asked.insert(path.to_owned(), end);
    }

    /// A state is on record, and what it permits may be done from now on.
    pub fn saw_accepted(&mut self, state: &TargetState) {
        let lively = state
            .stacks
            .iter()
            .filter(|entry| !entry.requires.iter().any(|feature| feature == PAUSE))
            .map(|entry| entry.stack)
            .chain(state.removals.iter().map(|removal| removal.stack));
        let lively: BTreeSet<_> = lively.collect();
        self.since.retain(|stack, _| !lively.contains(stack));
        self.lively = Some(lively);
    }

    /// The agent knows that it is on record.
    pub fn acts_upon(&mut self, stacks: impl Iterator<Item = StackId>, now: Duration) {
        let Some(lively) = &self.lively else { return };
        let recent = |(path, end): (&String, &Duration)| {
            (now.saturating_sub(*end) < BREATH).then(|| path.clone())
        };
        let in_hand: BTreeSet<_> = self.asked.iter().filter_map(recent).collect();
        for stack in stacks.filter(|stack| !lively.contains(stack)) {
            let since = || (now + HEARING, in_hand.clone());
            self.since.entry(stack).or_insert_with(since);
        }
    }

    /// Whether a stack's object may be written or deleted now.
    pub fn permits(&self, stack: StackId, place: &Place, now: Duration) -> bool {
        self.since
            .get(&stack)
            .is_none_or(|(since, in_hand)| now < *since || in_hand.contains(&path(place)))
    }
}

/// Where the API server has an object.
fn path(place: &Place) -> String {
    let group = if place.api_version.contains('/') {
        "apis"
    } else {
        "api"
    };
    let namespace = place.namespace.as_ref();
    let namespace = namespace.map_or_else(String::new, |name| format!("/namespaces/{name}"));
    let Place {
        api_version,
        plural,
        name,
        ..
    } = place;
    format!("/{group}/{api_version}{namespace}/{plural}/{name}")
}

impl World {
    /// An agent that was told twice that it is no more lets go: from then on it changes nothing, until a state comes.
    pub fn witness_farewell(&mut self, is_meant: bool, status: u16) {
        let now = self.age();
        let farewell = &mut self.witness.farewell;
        match (is_meant && farewell.knows_itself, status) {
            (true, _) => {
                let first = *farewell.first.get_or_insert(now);
                let since = now.saturating_sub(first);
                farewell.may_have_let_go |= since > ECHO;
                if since > HOUR {
                    farewell.first = Some(now);
                } else if since > TWICE && !farewell.has_let_go {
                    farewell.has_let_go = true;
                    self.witness.farewells += 1;
                    self.note("told twice that it is retired");
                    let stacks: Vec<_> = self.broker.stacks.keys().copied().collect();
                    self.witness.stillness.lively = Some(BTreeSet::new());
                    self.witness.stillness.acts_upon(stacks.into_iter(), now);
                }
            }
            (false, 200 | 304) => {
                self.witness.has_heard = true;
                let knows_itself = farewell.knows_itself;
                *farewell = Farewell {
                    knows_itself,
                    ..Farewell::default()
                };
                self.witness.recall_accepted();
            }
            _ => {}
        }
    }

    /// An agent that asks for what is newer than the state on record acts upon that one.
    pub fn witness_having(&mut self, life: u64, state: &TargetState) {
        if self.copies.holds(life) && self.witness.is_on_record(state) {
            let stacks: Vec<_> = self.broker.stacks.keys().copied().collect();
            let now = self.age();
            self.witness.stillness.acts_upon(stacks.into_iter(), now);
        }
    }

    /// People pause a stack, the agent or all agents, or go on.
    pub fn pause_or_resume(&mut self) {
        let ids: Vec<_> = self.broker.stacks.keys().copied().collect();
        let agent = self.broker.agent.clone();
        match self.random.u32(0..5) {
            0 => self.broker.set_agent(TargetAgent {
                paused: !agent.paused,
                ..agent
            }),
            1 => self.broker.set_agent(TargetAgent {
                fleet_paused: !agent.fleet_paused,
                ..agent
            }),
            _ if ids.is_empty() => return,
            _ => {
                let id = ids[self.random.usize(0..ids.len())];
                self.broker.change(|stacks, _| {
                    if let Some(stack) = stacks.get_mut(&id) {
                        stack.paused = !stack.paused;
                    }
                });
            }
        }
        let paused: Vec<_> = self.paused().collect();
        self.note(format!("paused: {paused:?}"));
    }

    fn paused(&self) -> impl Iterator<Item = StackId> {
        let stacks = self.broker.stacks.iter();
        stacks
            .filter(|(_, stack)| self.broker.is_paused(stack))
            .map(|(id, _)| *id)
    }

    pub fn is_anything_paused(&self) -> bool {
        self.paused().next().is_some()
    }

    /// A paused stack that is not said to be, after some quiet time.
    pub fn untold_pause(&self) -> Option<String> {
        self.paused().find_map(|id| {
            let stack = &self.broker.stacks[&id];
            if stack.target != Target::Runs || stack.versions.is_empty() {
                return None;
            }
            let status = self.broker.statuses.get(&id);
            let is_told = status.is_some_and(|status| {
                let reason = status.reason.as_deref().unwrap_or_default();
                let says = reason.starts_with("paused") && reason.contains("nothing is changed");
                status.sync == Sync::Held
                    && says
                    && status.seen == Some(stack.versions.len() as u64)
            });
            (!is_told).then(|| format!("{} is paused, and its status is {status:?}", stack.name))
        })
    }

    /// All pauses end.
    pub fn resume_all(&mut self) {
        self.note("resume all");
        self.broker.agent = TargetAgent::default();
        self.broker.change(|stacks, _| {
            for stack in stacks.values_mut() {
                stack.paused = false;
            }
        });
    }
}
