//! One attempt at one stack: the list of verbs. It knows no broker: a target state entry and a
//! text go in, what happened comes out.
//!
//! An attempt may die at any point (its future may be dropped): the next one finds its way from what
//! the cluster and the inventory say.

mod attempt;
mod compare;
mod describe;
mod keep;
mod logs;
mod rehearse;
mod secrets;
mod teller;
mod workloads;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use brokkr_core::ambient::Ambient;
use brokkr_core::failpoint::Point;
use brokkr_core::mutant::Mutant;
use brokkr_core::plan::{Judge, Live, Memory};
use brokkr_core::readiness::Readiness;
use brokkr_core::wire::{ObjectResult, OnRemove, TargetRemoval, TargetStack};
use brokkr_core::{EventId, ObjectKey, ServiceAccount, StackId};
use tokio::sync::Semaphore;

use crate::adopt;
use crate::apply::{self, Refused};
use crate::brake::Brake;
use crate::cluster::{Cluster, Tenure};
use crate::drift;
use crate::guard::Gate;
use crate::inventory::{Applied, Inventory, Records, Touch};
use crate::observe;
use crate::outcome;
use crate::plan::{self, Plan, Trial};
use crate::prune::{Consent, Pruned, Pruner};
use crate::validate::{self, OwnNamespace, Snapshot, Unfit};
use crate::watches::{Holdings, WatchedKind};
use crate::{Environment, Error, Settings};

pub use attempt::{Attempt, Ending, FirstSuccess, Success, Withheld};

/// What all attempts of an agent share.
pub struct Reconciler {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) records: Records,
    pub(crate) gate: Gate,
    ambient: Arc<dyn Ambient>,
    environment: Arc<Environment>,
    /// Reading a large content takes a thread and memory.
    reading: Semaphore,
}

/// How old the knowledge of kinds may be that says what can be watched.
const KINDS_AGE: Duration = Duration::from_mins(10);
/// The most requests to the API server at the same time, for what is only looked at.
const REHEARSALS: usize = 8;
/// How many contents are read at the same time.
const READERS: usize = 4;

/// One stack's side of it: its inventory, once it was read.
pub struct Stack {
    id: StackId,
    inventory: Option<Inventory>,
    brake: Brake,
    /// As whom it was last handled.
    account: Option<ServiceAccount>,
}

const LOST: &str = "the stack's inventory in the cluster is lost: what carries its marks was taken back, and nothing is deleted; to let its objects go, remove it with the policy `orphan`";

impl Reconciler {
    /// Prepares for attempts of whoever is alone in a cluster; nothing is sent yet.
    pub fn new(client: kube::Client, settings: &Settings, ambient: Arc<dyn Ambient>) -> Self {
        let cluster = Cluster::new(client, settings.max_in_flight.into(), ambient.clone());
        Self::with(cluster, settings, ambient)
    }

    /// Prepares for attempts of a process that holds the agent's lease.
    pub(crate) fn during(
        tenure: &Tenure,
        client: kube::Client,
        settings: &Settings,
        ambient: Arc<dyn Ambient>,
    ) -> Self {
        let cluster = Cluster::new(client, settings.max_in_flight.into(), ambient.clone());
        Self::with(cluster.during(tenure), settings, ambient)
    }

    /// Prepares for looks and rehearsals, on a line of its own: nothing that is asked so keeps attempts waiting, and nothing
    /// is written.
    pub fn rehearsing(
        client: kube::Client,
        settings: &Settings,
        ambient: Arc<dyn Ambient>,
    ) -> Self {
        let cluster = Cluster::new(client, REHEARSALS, ambient.clone());
        Self::with(cluster.read_only(), settings, ambient)
    }

    fn with(cluster: Cluster, settings: &Settings, ambient: Arc<dyn Ambient>) -> Self {
        let cluster = cluster
            .at_most(settings.max_qps)
            .counting_in(&settings.monitor);
        let cluster = Arc::new(cluster.yielding_to(settings.yield_to.clone()));
        Self {
            records: Records::new(cluster.clone(), settings.namespace.clone()),
            cluster,
            gate: Gate::default(),
            ambient,
            environment: settings.environment.clone(),
            reading: Semaphore::new(READERS),
        }
    }

    /// Makes the agent's namespace and reads its root record; comes before any attempt.
    pub async fn prepare(&self) -> Result<(), Error> {
        self.records.prepare().await
    }

    /// Makes the cluster what a deployment object says.
    pub async fn apply(&self, stack: &mut Stack, entry: &TargetStack, text: &Arc<str>) -> Attempt {
        let cluster = &self.cluster_for(stack, entry.service_account.as_ref());
        self.try_apply(cluster, stack, entry, text)
            .await
            .unwrap_or_else(|error| Attempt::error(&error))
            .in_trouble(cluster.is_in_trouble())
    }

    async fn try_apply(
        &self,
        cluster: &Cluster,
        stack: &mut Stack,
        entry: &TargetStack,
        text: &Arc<str>,
    ) -> Result<Attempt, Error> {
        let mut inventory = self.take(stack).await?;
        let attempt = match self.read(cluster, entry, text).await {
            Ok(Ok(snapshot)) => {
                Point::SnapshotRead.reached();
                self.carry_out(cluster, entry, &snapshot, &mut inventory)
                    .await?
            }
            Ok(Err(unfit)) => Attempt::failed(unfit.objects).missing(unfit.missing),
            Err(error) => Attempt::error(&error),
        };
        self.give_back(stack, inventory);
        Ok(attempt)
    }

    /// The cluster as the stack's service account sees it, if it was applied as one: who may publish the stack learns no more by
    /// asking about it.
    fn seen_by_owner(&self, inventory: &Inventory) -> Cluster {
        self.cluster.as_itself().acting_as(inventory.account())
    }

    /// The cluster as an attempt at a stack sees it: by the rights of its service account, which it is handled as from now on.
    fn cluster_for(&self, stack: &mut Stack, account: Option<&ServiceAccount>) -> Cluster {
        stack.account = account.cloned();
        let cluster = self.cluster.of(stack.id).acting_as(account);
        cluster.under(stack.brake.anew())
    }

    async fn read(
        &self,
        cluster: &Cluster,
        entry: &TargetStack,
        text: &Arc<str>,
    ) -> Result<Result<Snapshot, Unfit>, Error> {
        let _turn = self.reading.acquire().await;
        let own = OwnNamespace(self.records.namespace());
        validate::read(cluster, own, &self.environment, entry, text).await
    }

    async fn carry_out(
        &self,
        cluster: &Cluster,
        entry: &TargetStack,
        snapshot: &Snapshot,
        inventory: &mut Inventory,
    ) -> Result<Attempt, Error> {
        let label = entry.stack.to_string();
        let judge = Judge::new(&label, inventory.memory).adopting(entry.adopt);
        let mut plan = plan::make(cluster, judge, snapshot, inventory).await?;
        Point::PlanMade.reached();
        adopt::examine(cluster, &self.records, entry.stack, &mut plan).await?;
        if !entry.drift.is_repaired() {
            drift::leave(cluster, &mut plan).await;
        }
        // What another account wrote, this one may not be allowed to: that shows now, and not when it is needed.
        if !inventory.is_written_as(entry.service_account.as_ref()) {
            plan.write_all();
        }
        if let Some(refusal) = self.validate(cluster, &mut plan, judge).await {
            return Ok(refusal);
        }
        Point::PlanTried.reached();
        if cluster.is_stopped() {
            return Ok(Attempt::done(Vec::new()).stopped());
        }
        inventory.write_as(entry.service_account.as_ref());
        inventory.expect(&plan);
        Point::WritesExpected.reached();
        if !Mutant::InventoryLate.is_on() {
            self.records.save(inventory).await?;
        }
        let applied = apply::apply(cluster, judge, &plan, inventory).await?;
        if applied.is_stopped {
            self.records.save(inventory).await?;
            return Ok(Attempt::done(applied.objects).stopped());
        }
        if !applied.is_well && !Mutant::PruneInSpiteOfFailure.is_on() {
            self.records.save(inventory).await?;
            return Ok(Attempt::failed(applied.objects));
        }
        Point::AllWritten.reached();
        let pruned = self
            .prune(cluster, judge, entry, snapshot, inventory)
            .await?;
        let attempt = Attempt::of(applied.objects, pruned);
        let attempt = match inventory.memory {
            Memory::Whole => self.conclude(entry, inventory, attempt),
            Memory::Lost => attempt.held(LOST),
        };
        let attempt = match drift::left(&plan) {
            Some(drift) => attempt.held(&drift),
            None => attempt,
        };
        self.records.save(inventory).await?;
        Point::AttemptSaved.reached();
        Ok(attempt)
    }

    /// Why the plan cannot be begun, if it cannot.
    async fn validate(
        &self,
        cluster: &Cluster,
        plan: &mut Plan<'_>,
        judge: Judge<'_>,
    ) -> Option<Attempt> {
        let conflicts = plan.conflicts();
        if !conflicts.is_empty() {
            return Some(Attempt::failed(conflicts));
        }
        if let Some(reason) = plan.awaits() {
            return Some(Attempt::waiting(reason));
        }
        let steps = plan.steps();
        let tried = validate::dry_run(cluster, judge, steps, Trial::AtOnce).await;
        let (remade, refused): (Vec<_>, Vec<_>) =
            tried.into_iter().partition(|refused| refused.may_be_remade);
        let outcomes = |of: Vec<Refused>| of.into_iter().map(|refused| refused.outcome);
        if !refused.is_empty() {
            return Some(Attempt::failed(outcomes(refused).collect()));
        }
        let remade: Vec<_> = outcomes(remade).map(|outcome| outcome.object).collect();
        plan.remake(&remade);
        None
    }

    async fn prune(
        &self,
        cluster: &Cluster,
        judge: Judge<'_>,
        entry: &TargetStack,
        snapshot: &Snapshot,
        inventory: &mut Inventory,
    ) -> Result<Pruned, Error> {
        if inventory.memory == Memory::Lost {
            return Ok(Pruned::nothing());
        }
        let wanted: HashSet<&ObjectKey> = snapshot.objects.iter().map(|o| &o.key).collect();
        let pruner = Pruner {
            cluster,
            judge,
            consent: Consent::of(entry),
            gate: &self.gate,
        };
        pruner.prune(inventory, &wanted).await
    }

    /// Notes a success in the inventory; the first one of a deployment object gets its event there.
    fn conclude(
        &self,
        entry: &TargetStack,
        inventory: &mut Inventory,
        attempt: Attempt,
    ) -> Attempt {
        if attempt.ending != Ending::Done {
            return attempt;
        }
        let known = inventory
            .applied
            .as_ref()
            .filter(|applied| applied.deployment_object == entry.deployment_object);
        if let Some(known) = known {
            return attempt.with_success(Success::Earlier(known.into()));
        }
        let applied = Applied {
            deployment_object: entry.deployment_object,
            sequence: entry.sequence,
            digest: Some(entry.digest),
            default_namespace: entry.default_namespace.clone(),
            event: EventId::generate(&*self.ambient),
            at: self.ambient.now(),
        };
        let success = Success::Now((&applied).into());
        inventory.applied = Some(applied);
        Point::SuccessNoted.reached();
        attempt.with_success(success)
    }

    /// Takes a stack out of the cluster. When the attempt is done, nothing is left that is the stack's, and
    /// [`Reconciler::forget`] may follow.
    pub async fn remove(&self, stack: &mut Stack, removal: &TargetRemoval) -> Attempt {
        let cluster = &self.cluster_for(stack, removal.service_account.as_ref());
        self.try_remove(cluster, stack, removal)
            .await
            .unwrap_or_else(|error| Attempt::error(&error))
            .in_trouble(cluster.is_in_trouble())
    }

    async fn try_remove(
        &self,
        cluster: &Cluster,
        stack: &mut Stack,
        removal: &TargetRemoval,
    ) -> Result<Attempt, Error> {
        let mut inventory = self.take(stack).await?;
        if inventory.is_of_nothing() {
            stack.inventory = Some(inventory);
            return Ok(Attempt::done(Vec::new()));
        }
        if cluster.is_stopped() {
            stack.inventory = Some(inventory);
            return Ok(Attempt::done(Vec::new()).stopped());
        }
        inventory.applied = None;
        Point::RemovalBegun.reached();
        let attempt = match removal.policy {
            OnRemove::Orphan => {
                let released = inventory.release_all();
                let kept = |key| outcome::with(&key, ObjectResult::Kept, "the removal asks for it");
                Attempt::done(released.into_iter().map(kept).collect())
            }
            OnRemove::Delete if inventory.memory == Memory::Lost => {
                Attempt::done(Vec::new()).held(LOST)
            }
            OnRemove::Delete => {
                let label = removal.stack.to_string();
                let pruner = Pruner {
                    cluster,
                    judge: Judge::new(&label, inventory.memory),
                    consent: Consent::Removal(removal),
                    gate: &self.gate,
                };
                let result = pruner.prune(&mut inventory, &HashSet::new()).await?;
                Point::RemovalPruned.reached();
                Attempt::of(Vec::new(), result)
            }
        };
        self.records.save(&mut inventory).await?;
        Point::RemovalSaved.reached();
        self.give_back(stack, inventory);
        Ok(attempt)
    }

    /// There is another order for a stack: what was held under the one before holds up nobody, until this one is judged.
    pub(crate) fn reconsider(&self, stack: &Stack) {
        self.gate.reconsider(stack.id);
    }

    /// Deletes the records of a stack that was removed.
    pub async fn forget(&self, stack: &mut Stack) -> Result<(), Error> {
        stack.inventory = None;
        self.gate.forget(stack.id);
        self.records.discard(stack.id).await
    }

    /// How what the stack owns is doing; none if that is not known yet.
    pub async fn observe(&self, stack: &Stack) -> Result<Option<Readiness>, Error> {
        match &stack.inventory {
            Some(inventory) if !inventory.is_of_nothing() => {
                let cluster = self.cluster.of(stack.id);
                let cluster = cluster.acting_as(stack.account.as_ref());
                observe::observe(&cluster, inventory).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    /// What the stack owns objects of, as far as the server tells what changes in it; none if that is not known.
    pub(crate) async fn holdings(&self, stack: &Stack) -> Option<Holdings> {
        let inventory = stack.inventory.as_ref()?;
        let kinds = self.cluster.kinds(KINDS_AGE).await.ok()?;
        let mut holdings = Holdings::new();
        for (key, entry) in inventory.entries() {
            let resource = kinds.current(key, &entry.resource);
            if !kinds.is_watchable(&resource) {
                continue;
            }
            let kind = WatchedKind {
                group: key.group.clone(),
                kind: key.kind.clone(),
                resource,
            };
            let namespaces = holdings.entry(kind).or_default();
            namespaces.insert(key.namespace.clone());
        }
        Some(holdings)
    }

    /// The inventory, out of the stack's hands until the attempt has gone well: after one that has not, it
    /// is read again.
    async fn take(&self, stack: &mut Stack) -> Result<Inventory, Error> {
        match stack.inventory.take() {
            Some(inventory) => Ok(inventory),
            None => self.records.open(stack.id).await,
        }
    }

    fn give_back(&self, stack: &mut Stack, inventory: Inventory) {
        self.gate.owns(stack.id, inventory.owned());
        stack.inventory = Some(inventory);
    }
}

impl From<&Applied> for FirstSuccess {
    fn from(applied: &Applied) -> Self {
        Self {
            event: applied.event,
            at: applied.at,
        }
    }
}

impl Stack {
    /// A stack of which nothing has been read yet.
    pub fn new(id: StackId) -> Self {
        Self {
            id,
            inventory: None,
            brake: Brake::default(),
            account: None,
        }
    }

    /// The same, whose attempts this brake stops.
    pub(crate) fn under(self, brake: Brake) -> Self {
        Self { brake, ..self }
    }

    /// Which stack it is.
    pub const fn id(&self) -> StackId {
        self.id
    }

    /// What it means that an object was seen so, or is gone. Nothing, while it is not known what we wrote.
    pub(crate) fn touch(&self, key: &ObjectKey, live: Option<&Live>) -> Touch {
        let inventory = self.inventory.as_ref();
        inventory.map_or(Touch::Nothing, |inventory| inventory.touch(key, live))
    }

    /// The sequence that was last applied whole, as far as it is known.
    pub fn applied(&self) -> Option<u64> {
        let inventory = self.inventory.as_ref()?;
        inventory.applied.as_ref().map(|applied| applied.sequence)
    }
}
