//! A model of the broker: what it wants of the agent, what it was told, and how it may go wrong.

use std::collections::{BTreeMap, BTreeSet};

use brokkr_core::ambient::Ambient;
use brokkr_core::object::KeptKind;
use brokkr_core::wire::{
    Adopt, Approval, ConfirmationAnswer, ConfirmationReport, ConfirmationResult, Confirmations,
    Drift, HeldLoss, LossCause, OnRemove, PAUSE, StackStatus, StatusReport, TargetAgent,
    TargetRemoval, TargetStack, TargetState,
};
use brokkr_core::{AgentId, DeploymentObjectId, Digest, Epoch, ObjectKey, StackId};
use jiff::Timestamp;

use super::api::FIXED;
use super::object::{Fields, Object, Place, RECREATE};
use super::past::Past;

pub struct Broker {
    /// The agent, as it is told who it is.
    pub me: AgentId,
    pub past: Past,
    pub stacks: BTreeMap<StackId, Stack>,
    /// Every state that it ever had to say, by epoch and token, with what came before it.
    pub said: BTreeMap<(Epoch, String), (TargetState, Past)>,
    /// What an earlier database had.
    backup: Option<(Past, BTreeMap<StackId, Stack>, TargetAgent)>,
    /// How often a backup was restored.
    pub restored: u32,
    next_id: u64,
    /// Every version there ever was.
    published: BTreeMap<DeploymentObjectId, Version>,
    pub statuses: BTreeMap<StackId, StackStatus>,
    /// What is paused as a whole.
    pub agent: TargetAgent,
    pub mood: Mood,
    /// The number of the agent's last session.
    session: u64,
}

#[derive(Clone)]
pub struct Stack {
    pub name: String,
    pub versions: Vec<Version>,
    pub target: Target,
    /// Objects of whose loss at this agent somebody said yes, or no.
    pub approved: BTreeSet<ObjectKey>,
    pub released: BTreeSet<ObjectKey>,
    pub adopt: Adopt,
    pub paused: bool,
}

/// A deployment object.
#[derive(Clone)]
pub struct Version {
    pub id: DeploymentObjectId,
    pub text: String,
    pub objects: BTreeMap<Place, Wanted>,
    pub poison: Option<Poison>,
    pub allow_delete: Vec<ObjectKey>,
    /// Objects whose loss was part of a plan, of this version or of one before it.
    pub approved: BTreeSet<ObjectKey>,
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
    Leaves(Box<TargetRemoval>),
}

/// How the broker answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mood {
    Well,
    Unreachable,
    /// Somebody in between answers with a page.
    Page,
    /// The agent was retired.
    Retired,
    /// Somebody else was.
    OtherRetired,
    /// Somebody in between says that all is gone.
    GonePage,
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
    /// The right one, whose backup is restored as soon as a removal was confirmed.
    Forgetful,
}

pub const NAMESPACE: &str = "shop";

impl Broker {
    pub fn new(ambient: &dyn Ambient) -> Self {
        let mut broker = Self {
            me: AgentId::generate(ambient),
            past: Past::new(ambient),
            stacks: BTreeMap::new(),
            said: BTreeMap::new(),
            backup: None,
            restored: 0,
            next_id: 0,
            published: BTreeMap::new(),
            statuses: BTreeMap::new(),
            agent: TargetAgent::default(),
            mood: Mood::Well,
            session: 0,
        };
        broker.remember();
        broker
    }

    /// Begins a session of the agent, which ends the one before.
    pub const fn open_session(&mut self) -> u64 {
        self.session += 1;
        self.session
    }

    pub fn is_over(&self, session: Option<u64>) -> bool {
        session.is_some_and(|session| session < self.session)
    }

    /// Makes a change of what is desired.
    pub fn change(&mut self, change: impl FnOnce(&mut BTreeMap<StackId, Stack>, u64)) {
        self.next_id += 1;
        self.past.go_on(self.next_id);
        change(&mut self.stacks, self.past.revision());
        self.remember();
    }

    fn remember(&mut self) {
        let versions = self
            .stacks
            .values()
            .filter_map(|stack| stack.versions.last());
        let versions = versions.map(|version| (version.id, version.clone()));
        self.published.extend(versions);
        let state = self.state();
        let name = (self.past.epoch, self.past.token());
        self.said.insert(name, (state, self.past.clone()));
    }

    pub fn back_up(&mut self) {
        self.backup = Some((self.past.clone(), self.stacks.clone(), self.agent.clone()));
    }

    /// Puts the backup in the place of the database; whether there is one.
    pub fn restore(&mut self) -> bool {
        let Some((past, stacks, agent)) = self.backup.clone() else {
            return false;
        };
        (self.past, self.stacks, self.agent) = (past, stacks, agent);
        self.restored += 1;
        true
    }

    /// Hears what an agent was told; whether it proves that history was lost.
    pub fn hear_token(&mut self, header: &str, ambient: &dyn Ambient) -> bool {
        let Some((epoch, token)) = header.split_once('.') else {
            return false;
        };
        let is_lost = epoch
            .parse()
            .is_ok_and(|epoch| !self.past.knows(epoch, token));
        if let (true, Ok(epoch)) = (is_lost, epoch.parse()) {
            self.past.lose(epoch, ambient);
            self.change(|_, _| {});
        }
        is_lost
    }

    /// An operator accepts all histories that were lost; whether there were any.
    pub fn accept_lost(&mut self) -> bool {
        let Past { lost, succeeds, .. } = &mut self.past;
        let waiting: Vec<_> = lost
            .iter()
            .filter(|epoch| !succeeds.contains(epoch))
            .collect();
        if waiting.is_empty() {
            return false;
        }
        let waiting: Vec<_> = waiting.into_iter().copied().collect();
        succeeds.extend(waiting);
        self.change(|_, _| {});
        true
    }

    /// What a replica says that is behind.
    pub fn earlier(&self, random: &mut fastrand::Rng) -> TargetState {
        let earlier: Vec<_> = self
            .said
            .values()
            .filter(|(_, past)| self.past.contains(past))
            .map(|(state, _)| state)
            .collect();
        earlier[random.usize(0..earlier.len())].clone()
    }

    /// What the agent should do.
    pub fn state(&self) -> TargetState {
        let mut state = self.short();
        state.agent = self.agent.clone();
        for (id, stack) in &self.stacks {
            match (&stack.target, stack.versions.last()) {
                (Target::Runs, Some(version)) => {
                    let mut entry = stack.entry(*id, version);
                    if self.is_paused(stack) {
                        entry.requires.push(PAUSE.to_owned());
                    }
                    state.stacks.push(entry);
                }
                (Target::Leaves(removal), _) if !self.is_paused(stack) => {
                    state.removals.push((**removal).clone());
                }
                _ => {}
            }
        }
        state
    }

    pub const fn is_paused(&self, stack: &Stack) -> bool {
        stack.paused || self.agent.is_paused()
    }

    /// Pauses or resumes the whole agent.
    pub fn set_agent(&mut self, agent: TargetAgent) {
        self.agent = agent;
        self.change(|_, _| {});
    }

    /// What a broker says that has lost its lists.
    pub fn short(&self) -> TargetState {
        TargetState {
            epoch: self.past.epoch,
            revision: self.past.revision(),
            state_token: self.past.token(),
            succeeds: self.past.succeeds.clone(),
            agent: TargetAgent::default(),
            stacks: Vec::new(),
            removals: Vec::new(),
            conditional_removals: Vec::new(),
            requests: Vec::new(),
        }
    }

    /// What a broker with another history says of the same stacks.
    pub fn foreign(&self, ambient: &dyn Ambient) -> TargetState {
        let mut state = self.short();
        state.epoch = Epoch::generate(ambient);
        state.revision += 100;
        state.succeeds.clear();
        state.removals = self
            .stacks
            .iter()
            .map(|(id, stack)| TargetRemoval {
                approved: Some(yes()),
                ..stack.removal(*id, OnRemove::Delete, 1)
            })
            .collect();
        state
    }

    pub fn version(&self, id: DeploymentObjectId) -> Option<&Version> {
        self.published.get(&id)
    }

    /// A version that the database has.
    pub fn content(&self, id: DeploymentObjectId) -> Option<&Version> {
        let mut versions = self.stacks.values().flat_map(|stack| &stack.versions);
        versions.find(|version| version.id == id)
    }

    pub fn hear(&mut self, report: StatusReport) {
        self.statuses.extend(
            report
                .stacks
                .into_iter()
                .map(|status| (status.stack, status)),
        );
    }

    /// What is held of a stack, if it is still about what is wanted.
    pub fn held(&self, id: StackId) -> Option<HeldLoss> {
        let held = self.statuses.get(&id)?.held.clone()?;
        let stack = &self.stacks[&id];
        let is_about_it = match (held.cause, &stack.target) {
            (LossCause::Snapshot(sequence), Target::Runs) => {
                sequence == stack.versions.len() as u64
            }
            (LossCause::Removal(revision), Target::Leaves(removal)) => removal.revision == revision,
            _ => false,
        };
        is_about_it.then_some(held)
    }

    /// Somebody approves or refuses what is held.
    pub fn decide(&mut self, id: StackId, held: HeldLoss, is_fine: bool) {
        self.change(|stacks, revision| {
            let Some(stack) = stacks.get_mut(&id) else {
                return;
            };
            match (&mut stack.target, is_fine) {
                (Target::Leaves(removal), true) => removal.approved = Some(yes()),
                (Target::Leaves(removal), false) => {
                    removal.policy = OnRemove::Orphan;
                    removal.revision = revision;
                }
                (_, true) => stack.approved.extend(held.objects),
                (_, false) => stack.released.extend(held.objects),
            }
        });
    }

    /// Closes the removals that are confirmed, unless they were withdrawn; says which those are.
    pub fn confirm(&mut self, report: &ConfirmationReport) -> (Confirmations, Vec<TargetRemoval>) {
        let mut closed = Vec::new();
        let answers = report.removals.iter().map(|confirmation| {
            let stack = self.stacks.get_mut(&confirmation.stack);
            let open = stack.and_then(|stack| match &stack.target {
                Target::Leaves(removal) if removal.revision == confirmation.revision => {
                    let removal = (**removal).clone();
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

pub fn yes() -> Approval {
    Approval {
        by: "admin".to_owned(),
        at: Timestamp::UNIX_EPOCH,
        plan: None,
    }
}

impl Stack {
    pub const fn new(name: String, adopt: Adopt) -> Self {
        Self {
            name,
            versions: Vec::new(),
            target: Target::Runs,
            approved: BTreeSet::new(),
            released: BTreeSet::new(),
            adopt,
            paused: false,
        }
    }

    /// Publishes a version; who has a plan, says yes to what it drops.
    pub fn publish(&mut self, mut version: Version, is_planned: bool) {
        if let Some(parent) = self.versions.last() {
            version.approved.clone_from(&parent.approved);
            if is_planned {
                let all = parent.objects.values().map(|wanted| wanted.key.clone());
                version.approved.extend(all);
            }
        }
        for wanted in version.objects.values() {
            version.approved.remove(&wanted.key);
            self.approved.remove(&wanted.key);
            self.released.remove(&wanted.key);
        }
        self.versions.push(version);
    }

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
            approved_losses: version.approved.union(&self.approved).cloned().collect(),
            released: self.released.iter().cloned().collect(),
            adopt: self.adopt,
            drift: Drift::Repair,
            paused: self.paused,
            ignores_windows: false,
            service_account: None,
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
            service_account: None,
            requires: Vec::new(),
        }
    }
}

/// Whether somebody said yes in an accepted state to the loss of an object, whoever wants it gone.
pub fn approves(state: &TargetState, stack: StackId, key: &ObjectKey) -> bool {
    let names = |written: &[ObjectKey]| written.iter().any(|written| key.is_written_as(written));
    let allows = |kinds: &[KeptKind]| key.kept_kind().is_some_and(|kind| kinds.contains(&kind));
    let mut removals = state
        .removals
        .iter()
        .filter(|removal| removal.stack == stack);
    let mut entries = state.stacks.iter().filter(|entry| entry.stack == stack);
    removals.any(|removal| removal.approved.is_some() || allows(&removal.allow_delete))
        || entries.any(|entry| names(&entry.approved_losses) || names(&entry.allow_delete))
}

/// Whether an accepted state permits that a stack takes over an object that is not its own. Whose it may not be is looked
/// at elsewhere.
pub fn permits_adoption(
    broker: &Broker,
    state: &TargetState,
    stack: StackId,
    place: &Place,
    is_identical: bool,
) -> bool {
    state.stacks.iter().any(|entry| {
        let is_wanted = broker
            .version(entry.deployment_object)
            .is_some_and(|version| version.objects.contains_key(place));
        let may_be_taken = match entry.adopt {
            Adopt::Never => false,
            Adopt::IfIdentical => is_identical,
            Adopt::Always => true,
        };
        entry.stack == stack && is_wanted && may_be_taken
    })
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

/// Whether an accepted state permits that an object of a stack that cannot be changed is deleted to be created anew.
pub fn permits_remake(
    broker: &Broker,
    state: &TargetState,
    stack: StackId,
    place: &Place,
    object: &Object,
) -> bool {
    state.stacks.iter().any(|entry| {
        let version = broker.version(entry.deployment_object);
        let wanted = version
            .filter(|version| version.poison != Some(Poison::AtOnce))
            .and_then(|version| version.objects.get(place));
        entry.stack == stack
            && wanted.is_some_and(|Wanted { key, fields }| {
                let is_asked_for = fields.get(RECREATE).is_some_and(|value| value == "enabled");
                let (has, wants) = (object.fields.get(FIXED), fields.get(FIXED));
                let is_other = has.is_some() && wants.is_some() && has != wants;
                key.kept_kind().is_none() && is_asked_for && is_other
            })
    })
}
