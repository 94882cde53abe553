use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use brokkr_core::wire::{
    DRIFT_REPORT, IMPERSONATE, OnRemove, PAUSE, TargetAgent, TargetRemoval, TargetRequest,
    TargetStack, TargetState, WINDOWS,
};
use brokkr_core::{
    AgentId, DeploymentObjectId, Epoch, GeneratorId, KeyId, Name, SignInId, StackId,
};
use jiff::Timestamp;
use uuid::Uuid;

use super::Recall;
use super::keyring::{Held, Keyring};
use super::lineage::Lineage;
use super::seat::Seat;
use super::token::StateToken;
use crate::contents::Wanted;
use crate::error::Result;
use crate::store::agent_targets::{self, Decided, OpenTarget};
use crate::store::agents::AgentEntry;
use crate::store::broker::{self, Identity};
use crate::store::changes::{self, Touched};
use crate::store::epochs::{self, Place};
use crate::store::keys::{self, Key};
use crate::store::settings::{self, FleetPause};
use crate::store::sign_ins::{self, SignIn};
use crate::store::stack_entries::{self, StackEntry};
use crate::store::{Tx, agents, generators, requests, windows};

/// The fleet at one revision.
pub(crate) struct Index {
    identity: Identity,
    /// The histories that this one continues.
    succeeds: Vec<Epoch>,
    /// The histories that this one took the place of.
    lost: Vec<Epoch>,
    /// Grows each time that all is loaded anew.
    load_number: u64,
    revision: u64,
    lineage: Lineage,
    pause: FleetPause,
    /// The last revision that changed which windows there are.
    windows_revision: u64,
    keys: Keyring,
    sign_ins: HashMap<SignInId, SignIn>,
    generators: HashMap<GeneratorId, Name>,
    agents: HashMap<AgentId, Agent>,
    /// Agents that are no more, and whose keys say so.
    retired: HashSet<AgentId>,
    stacks: HashMap<StackId, Stack>,
}

struct Agent {
    entry: AgentEntry,
    /// Ordered, so that every replica writes the same answer.
    links: BTreeMap<StackId, Link>,
    /// What it is asked and has not answered; what has expired stays until it is asked something else.
    requests: Vec<TargetRequest>,
    seat: Arc<Seat>,
}

enum Link {
    /// With what was decided about losses that the agent held.
    Active(Option<Box<Decided>>),
    Removing(Box<TargetRemoval>),
}

impl From<OpenTarget> for Link {
    fn from(target: OpenTarget) -> Self {
        match target {
            OpenTarget::Active(_, decided) => Self::Active(decided),
            OpenTarget::Removing(removal, service_account) => {
                Self::Removing(Box::new(TargetRemoval {
                    stack: removal.stack,
                    name: removal.stack_name,
                    policy: removal.policy,
                    allow_delete: removal.allow_delete,
                    revision: removal.revision.unwrap_or_default(),
                    approved: removal.approved,
                    service_account,
                    requires: Vec::new(),
                }))
            }
        }
    }
}

#[derive(Default)]
struct Stack {
    changed_revision: u64,
    paused: bool,
    /// None when the stack was deleted.
    owner: Option<Uuid>,
    entry: Option<TargetStack>,
    /// The agents that run it, which a publish concerns.
    agents: HashSet<AgentId>,
}

/// What changes between two revisions: the rows as they are at the later one.
#[derive(Default)]
pub(crate) struct Update {
    revision: u64,
    /// The ids of the revisions in between.
    lineage: Vec<Uuid>,
    pause: Option<FleetPause>,
    windows_revision: Option<u64>,
    keys: Vec<(KeyId, Option<Key>)>,
    sign_ins: Vec<(SignInId, Option<SignIn>)>,
    generators: Vec<(GeneratorId, Option<Name>)>,
    agents: Vec<(AgentId, Option<AgentEntry>)>,
    retired: Vec<AgentId>,
    requests: Vec<(AgentId, Vec<TargetRequest>)>,
    stacks: Vec<(StackId, Option<StackEntry>)>,
    targets: Vec<(AgentId, StackId, u64, Option<OpenTarget>)>,
}

impl Update {
    /// Reads what was touched, each with the last revision that did, at the snapshot's own revision.
    pub(crate) async fn read(
        revision: u64,
        lineage: Vec<Uuid>,
        touched: &HashMap<Touched, u64>,
        tx: &mut Tx,
    ) -> Result<Self> {
        let mut update = Self {
            revision,
            lineage,
            ..Self::default()
        };
        for (row, changed) in touched.iter().map(|(row, changed)| (*row, *changed)) {
            match row {
                Touched::Key(id) => update.keys.push((id, keys::find(id, tx).await?)),
                Touched::SignIn(id) => {
                    update.sign_ins.push((id, sign_ins::find(id, tx).await?));
                }
                Touched::Generator(id) => update
                    .generators
                    .push((id, generators::name(id, tx).await?)),
                Touched::Agent(id) => {
                    let entry = agents::entry(id, tx).await?;
                    if entry.is_none() && agents::is_retired(id, tx).await? {
                        update.retired.push(id);
                    }
                    update.agents.push((id, entry));
                }
                Touched::Requests(id) => {
                    update.requests.push((id, requests::open(id, tx).await?));
                }
                Touched::Stack(id) => update.stacks.push((id, stack_entries::find(id, tx).await?)),
                Touched::Pause => update.pause = Some(settings::fleet_pause(tx).await?),
                Touched::Windows => {
                    update.windows_revision = Some(windows::changed_revision(tx).await?);
                    let all = agents::entries(tx).await?.into_iter();
                    update
                        .agents
                        .extend(all.map(|(id, entry)| (id, Some(entry))));
                }
                // The follower reads everything anew.
                Touched::History => {}
                Touched::Target(agent, stack) => {
                    let target = agent_targets::between(agent, stack, tx).await?;
                    update.targets.push((agent, stack, changed, target));
                }
            }
        }
        Ok(update)
    }
}

impl Index {
    /// Reads everything, in one snapshot.
    pub(crate) async fn load(tx: &mut Tx) -> Result<Self> {
        let revision = broker::revision(tx).await?;
        let accepted = epochs::accepted(tx).await?.into_iter();
        let lost = epochs::lost(tx).await?.into_iter();
        let first = revision.saturating_sub(Lineage::HELD) + 1;
        let mut index = Self {
            identity: broker::identity(tx).await?,
            succeeds: accepted.map(|accepted| accepted.epoch).collect(),
            lost: lost.map(|lost| lost.epoch).collect(),
            load_number: 0,
            revision,
            lineage: Lineage::new(first, changes::lineages(first, revision, tx).await?),
            pause: settings::fleet_pause(tx).await?,
            windows_revision: windows::changed_revision(tx).await?,
            keys: keys::all(tx).await?.into_iter().collect(),
            sign_ins: sign_ins::all(tx)
                .await?
                .into_iter()
                .map(|sign_in| (sign_in.id, sign_in))
                .collect(),
            generators: generators::names(tx).await?.into_iter().collect(),
            agents: HashMap::new(),
            retired: agents::retired(tx).await?.into_iter().collect(),
            stacks: HashMap::new(),
        };
        for (id, entry) in agents::entries(tx).await? {
            index.put_agent(id, Some(entry));
        }
        for row in stack_entries::all(tx).await? {
            index.put_stack(row.id, Some(row));
        }
        for (agent, stack, decided) in agent_targets::all_active(tx).await? {
            index.put_link(agent, stack, 0, Some(Link::Active(decided.map(Box::new))));
        }
        for target in agent_targets::all_removing(tx).await? {
            let (agent, stack) = (target.agent(), target.stack());
            index.put_link(agent, stack, 0, Some(target.into()));
        }
        for (id, request) in requests::all_open(tx).await? {
            if let Some(agent) = index.agents.get_mut(&id) {
                agent.requests.push(request);
            }
        }
        Ok(index)
    }

    pub(crate) const fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) const fn epoch(&self) -> Epoch {
        self.identity.epoch
    }

    pub(super) const fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    pub(super) const fn load_number(&self) -> u64 {
        self.load_number
    }

    /// What can be told of a token without the database.
    pub(super) fn recall(&self, agent: AgentId, token: &StateToken) -> Recall {
        let Place {
            epoch,
            revision,
            lineage,
        } = token.place;
        let has_ended = || self.succeeds.contains(&epoch) || self.lost.contains(&epoch);
        if !token.is_authentic(&self.identity.token_key, agent) {
            Recall::Foreign
        } else if epoch == self.identity.epoch && self.lineage.at(revision) == Some(lineage)
            || has_ended()
        {
            Recall::Known
        } else {
            Recall::Unclear {
                load: self.load_number,
            }
        }
    }

    pub(super) fn sign_in(&self, id: SignInId) -> Option<&SignIn> {
        self.sign_ins.get(&id)
    }

    pub(super) fn key(&self, id: KeyId) -> Option<&Held> {
        self.keys.get(id)
    }

    pub(super) const fn keys(&self) -> &Keyring {
        &self.keys
    }

    pub(super) fn generator(&self, id: GeneratorId) -> Option<&Name> {
        self.generators.get(&id)
    }

    pub(super) fn seat(&self, id: AgentId) -> Option<Arc<Seat>> {
        self.agents.get(&id).map(|agent| Arc::clone(&agent.seat))
    }

    pub(super) fn seats(&self) -> Vec<(AgentId, Arc<Seat>)> {
        self.agents
            .iter()
            .map(|(id, agent)| (*id, Arc::clone(&agent.seat)))
            .collect()
    }

    /// The number of an agent's last session; 0 if it never opened one.
    pub(super) fn latest_session(&self, agent: AgentId) -> u64 {
        let agent = self.agents.get(&agent);
        agent.map_or(0, |agent| agent.entry.session)
    }

    pub(super) fn is_retired(&self, id: AgentId) -> bool {
        self.retired.contains(&id)
    }

    /// The content of a deployment object that is the head of one of an agent's stacks.
    pub(super) fn content(&self, agent: AgentId, object: DeploymentObjectId) -> Option<Wanted> {
        let agent = self.agents.get(&agent)?;
        let active = agent
            .links
            .iter()
            .filter(|(_, link)| matches!(link, Link::Active(_)));
        active
            .filter_map(|(stack, _)| self.stacks.get(stack))
            .find_map(|stack| {
                let head = stack.entry.as_ref()?;
                (head.deployment_object == object).then_some(Wanted {
                    owner: stack.owner?,
                    digest: head.digest,
                    default_namespace: head.default_namespace.clone(),
                })
            })
    }

    pub(super) fn runs(&self, agent: AgentId, stack: StackId) -> bool {
        self.stacks
            .get(&stack)
            .is_some_and(|stack| stack.agents.contains(&agent))
    }

    /// The stacks that an agent runs or removes.
    pub(super) fn stacks_of(&self, agent: AgentId) -> impl Iterator<Item = StackId> {
        let agent = self.agents.get(&agent);
        agent
            .into_iter()
            .flat_map(|agent| agent.links.keys().copied())
    }

    /// The owner of a stack: a generator's id, or that of the operators.
    pub(super) fn owner(&self, stack: StackId) -> Option<Uuid> {
        self.stacks.get(&stack)?.owner
    }

    /// What an agent is asked at a time.
    pub(super) fn requests(
        &self,
        agent: AgentId,
        now: Timestamp,
    ) -> impl Iterator<Item = &TargetRequest> {
        let agent = self.agents.get(&agent);
        let requests = agent.into_iter().flat_map(|agent| &agent.requests);
        requests.filter(move |request| request.expires > now)
    }

    /// What an agent should do: a function of the history up to this revision, and of nothing else.
    pub(super) fn target_state(&self, id: AgentId) -> Option<TargetState> {
        let agent = self.agents.get(&id)?;
        let mut revision = agent
            .entry
            .changed_revision
            .max(self.pause.changed_revision)
            .max(self.windows_revision);
        let whole = TargetAgent {
            paused: agent.entry.paused,
            fleet_paused: self.pause.paused,
            windows: agent.entry.windows.clone(),
        };
        let mut running = Vec::new();
        let mut removals = Vec::new();
        for (stack, link) in &agent.links {
            match link {
                Link::Removing(removal) => {
                    // An agent of any version leaves alone what is absent.
                    let stack = self.stacks.get(stack);
                    if !whole.is_paused() && !stack.is_some_and(|stack| stack.paused) {
                        removals.push(conditional((**removal).clone(), &whole));
                    }
                }
                Link::Active(decided) => {
                    if let Some(stack) = self.stacks.get(stack) {
                        revision = revision.max(stack.changed_revision);
                        running.extend(
                            stack
                                .entry
                                .clone()
                                .map(|entry| decide(entry, decided.as_deref()))
                                .map(|entry| with_requirements(entry, &whole)),
                        );
                    }
                }
            }
        }
        // One that does not know what they require would do them at once, by its own rights.
        let (removals, conditional_removals) = removals
            .into_iter()
            .partition(|removal| removal.requires.is_empty());
        let Identity { epoch, token_key } = &self.identity;
        let place = Place {
            epoch: *epoch,
            revision: self.revision,
            lineage: self.lineage.newest(),
        };
        Some(TargetState {
            epoch: *epoch,
            revision,
            state_token: StateToken::new(token_key, id, place).text(),
            succeeds: self.succeeds.clone(),
            agent: whole,
            stacks: running,
            removals,
            conditional_removals,
            requests: Vec::new(),
        })
    }

    /// Moves to a later revision and answers the seats of agents whose state may differ or whose key is gone.
    pub(super) fn apply(&mut self, update: Update) -> Vec<Arc<Seat>> {
        self.revision = update.revision;
        self.lineage.extend(update.lineage);
        let mut affected = HashSet::new();
        let mut woken = Vec::new();
        if let Some(pause) = update.pause {
            self.pause = pause;
            affected.extend(self.agents.keys());
        }
        if let Some(revision) = update.windows_revision {
            self.windows_revision = revision;
        }
        for (id, key) in update.keys {
            affected.extend(self.keys.put(id, key).map(AgentId::from));
        }
        for (id, sign_in) in update.sign_ins {
            self.put_sign_in(id, sign_in);
        }
        for (id, name) in update.generators {
            match name {
                Some(name) => self.generators.insert(id, name),
                None => self.generators.remove(&id),
            };
        }
        for (id, entry) in update.agents {
            woken.extend(self.put_agent(id, entry));
            affected.insert(id);
        }
        self.retired.extend(update.retired);
        for (id, requests) in update.requests {
            if let Some(agent) = self.agents.get_mut(&id) {
                agent.requests = requests;
                woken.push(Arc::clone(&agent.seat));
            }
        }
        for (id, row) in update.stacks {
            self.put_stack(id, row);
            affected.extend(
                self.stacks
                    .get(&id)
                    .into_iter()
                    .flat_map(|stack| &stack.agents),
            );
        }
        for (agent, stack, changed, target) in update.targets {
            self.put_link(agent, stack, changed, target.map(Link::from));
            affected.insert(agent);
        }
        woken.extend(affected.into_iter().filter_map(|id| self.seat(id)));
        woken
    }

    /// Takes over the seats of an index that this one replaces, and when keys were used; answers the seats of
    /// agents that are gone.
    pub(super) fn take_seats_of(&mut self, current: &Self) -> Vec<Arc<Seat>> {
        self.load_number = current.load_number + 1;
        self.keys.take_uses_of(&current.keys);
        let mut orphaned = Vec::new();
        for (id, agent) in &current.agents {
            match self.agents.get_mut(id) {
                Some(own) => own.seat = Arc::clone(&agent.seat),
                None => orphaned.push(Arc::clone(&agent.seat)),
            }
        }
        orphaned
    }

    /// Whatever had ended when somebody signed in is forgotten: the database tells nobody when it forgets.
    fn put_sign_in(&mut self, id: SignInId, sign_in: Option<SignIn>) {
        let Some(sign_in) = sign_in else {
            self.sign_ins.remove(&id);
            return;
        };
        self.sign_ins
            .retain(|_, before| before.expires_at > sign_in.created_at);
        self.sign_ins.insert(id, sign_in);
    }

    /// Answers the seat of an agent that is gone.
    fn put_agent(&mut self, id: AgentId, entry: Option<AgentEntry>) -> Option<Arc<Seat>> {
        let Some(entry) = entry else {
            return self.agents.remove(&id).map(|agent| agent.seat);
        };
        match self.agents.entry(id) {
            Entry::Occupied(agent) => agent.into_mut().entry = entry,
            Entry::Vacant(place) => {
                place.insert(Agent {
                    entry,
                    links: BTreeMap::new(),
                    requests: Vec::new(),
                    seat: Arc::default(),
                });
            }
        }
        None
    }

    fn put_stack(&mut self, id: StackId, row: Option<StackEntry>) {
        let stack = self.stacks.entry(id).or_default();
        // The agents of a stack that is gone are told by their removals, which the same revision made.
        stack.owner = row.as_ref().map(|row| row.owner);
        (stack.changed_revision, stack.paused, stack.entry) = row.map_or((0, false, None), |row| {
            (row.changed_revision, row.paused, row.entry)
        });
        self.drop_if_gone(id);
    }

    fn put_link(&mut self, agent: AgentId, stack: StackId, changed: u64, link: Option<Link>) {
        let agents = &mut self.stacks.entry(stack).or_default().agents;
        if matches!(link, Some(Link::Active(_))) {
            agents.insert(agent)
        } else {
            agents.remove(&agent)
        };
        self.drop_if_gone(stack);
        if let Some(agent) = self.agents.get_mut(&agent) {
            let entry = &mut agent.entry;
            entry.changed_revision = entry.changed_revision.max(changed);
            match link {
                Some(link) => agent.links.insert(stack, link),
                None => agent.links.remove(&stack),
            };
        }
    }

    /// Forgets a stack that was deleted once no agent runs it; one that lives has a revision.
    fn drop_if_gone(&mut self, id: StackId) {
        if self
            .stacks
            .get(&id)
            .is_some_and(|stack| stack.changed_revision == 0 && stack.agents.is_empty())
        {
            self.stacks.remove(&id);
        }
    }
}

/// What one agent is told of a stack: what its head says, and what was decided at this agent.
fn decide(mut entry: TargetStack, decided: Option<&Decided>) -> TargetStack {
    if let Some(decided) = decided {
        entry.approved_losses.extend_from_slice(&decided.approved);
        entry.released.clone_from(&decided.released);
    }
    entry
}

/// What forbids changes, or has them wait, requires that the agent knows of it: one that does not, holds the stack.
fn with_requirements(mut entry: TargetStack, agent: &TargetAgent) -> TargetStack {
    if entry.paused || agent.is_paused() {
        entry.requires.push(PAUSE.to_owned());
    }
    if !entry.drift.is_repaired() {
        entry.requires.push(DRIFT_REPORT.to_owned());
    }
    if !agent.windows.is_empty() && !entry.ignores_windows {
        entry.requires.push(WINDOWS.to_owned());
    }
    if entry.service_account.is_some() {
        entry.requires.push(IMPERSONATE.to_owned());
    }
    entry
}

/// The same of a removal. Of what stays in the cluster nothing is asked of it, so nobody's rights matter.
fn conditional(mut removal: TargetRemoval, agent: &TargetAgent) -> TargetRemoval {
    if !agent.windows.is_empty() {
        removal.requires.push(WINDOWS.to_owned());
    }
    if removal.service_account.is_some() && removal.policy == OnRemove::Delete {
        removal.requires.push(IMPERSONATE.to_owned());
    }
    removal
}
