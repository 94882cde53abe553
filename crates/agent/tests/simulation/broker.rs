//! A model of the broker: what it wants of the agent, what it was told, and how it may go wrong.

use std::collections::BTreeMap;

use brokkr_core::ambient::Ambient;
use brokkr_core::object::KeptKind;
use brokkr_core::wire::{
    ConfirmationAnswer, ConfirmationReport, ConfirmationResult, Confirmations, OnRemove,
    StackStatus, StatusReport, TargetRemoval, TargetStack, TargetState,
};
use brokkr_core::{DeploymentObjectId, Digest, Epoch, ObjectKey, StackId};

use super::object::{Fields, Place};

pub struct Broker {
    pub epoch: Epoch,
    pub revision: u64,
    pub stacks: BTreeMap<StackId, Stack>,
    /// Every state that it ever said, of its own history.
    pub history: BTreeMap<(Epoch, u64), TargetState>,
    pub statuses: BTreeMap<StackId, StackStatus>,
    pub mood: Mood,
}

pub struct Stack {
    pub name: String,
    pub versions: Vec<Version>,
    pub target: Target,
}

/// A deployment object.
#[derive(Clone)]
pub struct Version {
    pub id: DeploymentObjectId,
    pub text: String,
    pub objects: BTreeMap<Place, Wanted>,
    pub poison: Option<Poison>,
    pub allow_delete: Vec<ObjectKey>,
}

/// When the API server refuses one of the objects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Poison {
    /// As soon as it sees it.
    AtOnce,
    /// Only when it is written: a quota, for example.
    InEarnest,
}

/// An object as a manifest has it.
#[derive(Clone)]
pub struct Wanted {
    pub key: ObjectKey,
    pub fields: Fields,
}

#[derive(Clone, PartialEq)]
pub enum Target {
    Absent,
    Runs,
    Leaves(TargetRemoval),
}

/// How the broker answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mood {
    Well,
    Unreachable,
    /// Somebody in between answers with a page.
    Page,
    /// A problem with this status.
    Refuses(u16),
    /// The answer ends in the middle.
    Cut,
    /// A replica that is behind.
    Behind,
    /// Another database: nothing is wanted, and everything is to go.
    Foreign,
    /// The right history, with other contents.
    WrongContent,
    /// The right history, with nothing in it.
    Short,
}

pub const NAMESPACE: &str = "shop";

impl Broker {
    pub fn new(ambient: &dyn Ambient) -> Self {
        let mut broker = Self {
            epoch: Epoch::generate(ambient),
            revision: 0,
            stacks: BTreeMap::new(),
            history: BTreeMap::new(),
            statuses: BTreeMap::new(),
            mood: Mood::Well,
        };
        broker.remember();
        broker
    }

    /// Makes a change of what is desired.
    pub fn change(&mut self, change: impl FnOnce(&mut BTreeMap<StackId, Stack>, u64)) {
        self.revision += 1;
        change(&mut self.stacks, self.revision);
        self.remember();
    }

    fn remember(&mut self) {
        let state = self.state();
        self.history.insert((self.epoch, self.revision), state);
    }

    /// What the agent should do.
    pub fn state(&self) -> TargetState {
        let mut state = Self::empty(self.epoch, self.revision);
        for (id, stack) in &self.stacks {
            match (&stack.target, stack.versions.last()) {
                (Target::Runs, Some(version)) => state.stacks.push(stack.entry(*id, version)),
                (Target::Leaves(removal), _) => state.removals.push(removal.clone()),
                _ => {}
            }
        }
        state
    }

    /// What a broker says that has lost its lists.
    pub fn short(&self) -> TargetState {
        Self::empty(self.epoch, self.revision)
    }

    fn empty(epoch: Epoch, revision: u64) -> TargetState {
        TargetState {
            epoch,
            revision,
            state_token: format!("token-{revision}"),
            succeeds: Vec::new(),
            stacks: Vec::new(),
            removals: Vec::new(),
        }
    }

    /// What a broker with another history says of the same stacks.
    pub fn foreign(&self, ambient: &dyn Ambient) -> TargetState {
        let mut state = Self::empty(Epoch::generate(ambient), self.revision + 100);
        state.removals = self
            .stacks
            .iter()
            .map(|(id, stack)| stack.removal(*id, OnRemove::Delete, 1))
            .collect();
        state
    }

    pub fn version(&self, id: DeploymentObjectId) -> Option<&Version> {
        self.stacks
            .values()
            .flat_map(|stack| &stack.versions)
            .find(|version| version.id == id)
    }

    pub fn hear(&mut self, report: StatusReport) {
        self.statuses.extend(
            report
                .stacks
                .into_iter()
                .map(|status| (status.stack, status)),
        );
    }

    /// Closes the removals that are confirmed, unless they were withdrawn; says which those are.
    pub fn confirm(&mut self, report: &ConfirmationReport) -> (Confirmations, Vec<TargetRemoval>) {
        let mut closed = Vec::new();
        let answers = report.removals.iter().map(|confirmation| {
            let stack = self.stacks.get_mut(&confirmation.stack);
            let open = stack.and_then(|stack| match &stack.target {
                Target::Leaves(removal) if removal.revision == confirmation.revision => {
                    let removal = removal.clone();
                    stack.target = Target::Absent;
                    Some(removal)
                }
                _ => None,
            });
            let result = match open {
                Some(removal) => {
                    closed.push(removal);
                    ConfirmationResult::Closed
                }
                None => ConfirmationResult::Superseded,
            };
            ConfirmationAnswer {
                stack: confirmation.stack,
                revision: confirmation.revision,
                result,
            }
        });
        let answers = Confirmations {
            removals: answers.collect(),
        };
        if !closed.is_empty() {
            self.change(|_, _| {});
        }
        (answers, closed)
    }
}

impl Stack {
    fn entry(&self, id: StackId, version: &Version) -> TargetStack {
        TargetStack {
            stack: id,
            name: self.name.parse().expect("a name"),
            deployment_object: version.id,
            sequence: self.versions.len() as u64,
            digest: Digest::of(Some(NAMESPACE), &version.text),
            size: version.text.len() as u64,
            default_namespace: Some(NAMESPACE.to_owned()),
            create_namespace: true,
            allow_delete: version.allow_delete.clone(),
            requires: Vec::new(),
            approved_losses: Vec::new(),
            released: Vec::new(),
            adopt: brokkr_core::wire::Adopt::Never,
        }
    }

    pub fn removal(&self, id: StackId, policy: OnRemove, revision: u64) -> TargetRemoval {
        TargetRemoval {
            stack: id,
            name: self.name.parse().expect("a name"),
            policy,
            allow_delete: Vec::new(),
            revision,
            approved: None,
        }
    }
}

/// Whether an accepted state permits that an object of a stack goes.
pub fn permits(
    broker: &Broker,
    state: &TargetState,
    stack: StackId,
    place: &Place,
    key: &ObjectKey,
) -> bool {
    let allows = |kinds: &[KeptKind]| key.kept_kind().is_none_or(|kind| kinds.contains(&kind));
    let is_removed = state.removals.iter().any(|removal| {
        removal.stack == stack
            && removal.policy == OnRemove::Delete
            && allows(&removal.allow_delete)
    });
    let is_dropped = state.stacks.iter().any(|entry| {
        // Of a snapshot that cannot be applied whole, nothing that it drops goes.
        let has = broker
            .version(entry.deployment_object)
            .is_none_or(|version| version.poison.is_some() || version.objects.contains_key(place));
        let may_go = key.kept_kind().is_none()
            || entry
                .allow_delete
                .iter()
                .any(|written| key.is_written_as(written));
        entry.stack == stack && !has && may_go
    });
    is_removed || is_dropped
}
