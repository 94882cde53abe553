//! Deletes what a stack owns and no longer wants, the last phase first, as far as the guard lets it.

mod clearance;
mod consent;

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use brokkr_core::ObjectKey;
use brokkr_core::failpoint::Point;
use brokkr_core::plan::{Incarnation, Judge, Loss, Ownership, Phase};
use brokkr_core::wire::{ObjectOutcome, ObjectResult};
use futures::FutureExt;

use crate::Error;
use crate::cluster::{Absence, Cluster, Resource, Sight};
use crate::guard::Gate;
use crate::inventory::Inventory;
use crate::outcome;
use clearance::Clearance;

pub(crate) use clearance::Held;
pub(crate) use consent::Consent;

/// How old the knowledge of kinds may be that is used to find what was applied earlier.
const KINDS_AGE: Duration = Duration::from_mins(10);
/// Most objects are gone at once; the rest is asked for at the next attempt.
const LOOKS: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_millis(50),
    Duration::from_millis(200),
];

/// What became of the objects that are no longer wanted.
pub(crate) struct Pruned {
    pub objects: Vec<ObjectOutcome>,
    /// What is still there, and why.
    pub waits_for: Option<String>,
    /// What would go, and may not.
    pub held: Option<Held>,
    pub is_well: bool,
    /// It was stopped before it was through.
    pub is_stopped: bool,
}

impl Pruned {
    /// Nothing was to be done, or nothing may be.
    pub(crate) fn nothing() -> Self {
        Self {
            objects: Vec::new(),
            waits_for: None,
            held: None,
            is_well: true,
            is_stopped: false,
        }
    }

    fn stopped() -> Self {
        Self {
            is_stopped: true,
            ..Self::nothing()
        }
    }
}

/// Who owns what, and what may go.
pub(crate) struct Pruner<'a> {
    pub cluster: &'a Cluster,
    pub judge: Judge<'a>,
    pub consent: Consent<'a>,
    pub gate: &'a Gate,
}

type Doomed = (ObjectKey, Resource, Incarnation);

impl Pruner<'_> {
    /// Deletes the objects of the inventory that are not in `wanted`. What is confirmed gone or kept
    /// leaves the inventory. A phase is begun when those after it are gone: what still ends, or is held,
    /// may need what it stands on.
    pub(crate) async fn prune(
        &self,
        inventory: &mut Inventory,
        wanted: &HashSet<&ObjectKey>,
    ) -> Result<Pruned, Error> {
        let mut dropped = self.dropped(inventory, wanted).await?;
        let mut pruned = Pruned::nothing();
        let sight = self.cluster.see(dropped.clone(), Absence::Asked).await?;
        Point::LossesFound.reached();
        if self.cluster.is_stopped() {
            return Ok(Pruned::stopped());
        }
        let doomed = self.settle(&mut dropped, &sight, inventory, &mut pruned);
        let clearance = self.clear(&doomed, inventory);
        Point::LossesJudged.reached();
        let held = dropped.iter().filter(|(key, _)| clearance.is_held(key));
        let held = held.map(|(key, _)| outcome::held(key));
        pruned.objects.extend(held);
        let mut phases: BTreeMap<Phase, Vec<(ObjectKey, Resource)>> = BTreeMap::new();
        for found in dropped {
            phases.entry(Phase::of(&found.0)).or_default().push(found);
        }
        for objects in phases.into_values().rev() {
            let (held, free): (Vec<_>, Vec<_>) = objects
                .into_iter()
                .partition(|(key, _)| clearance.is_held(key));
            self.phase(free, &clearance, inventory, &mut pruned).await?;
            pruned.is_stopped |= self.cluster.is_stopped();
            let goes_on = pruned.is_well && !pruned.is_stopped;
            if !held.is_empty() || pruned.waits_for.is_some() || !goes_on {
                break;
            }
        }
        Point::PruneEnded.reached();
        pruned.held = clearance.held();
        Ok(pruned)
    }

    /// What the inventory has and nobody wants.
    async fn dropped(
        &self,
        inventory: &Inventory,
        wanted: &HashSet<&ObjectKey>,
    ) -> Result<Vec<(ObjectKey, Resource)>, Error> {
        let kinds = self.cluster.kinds(KINDS_AGE).await?;
        let dropped = inventory
            .entries()
            .iter()
            .filter(|(key, _)| !wanted.contains(key));
        Ok(dropped
            .map(|(key, entry)| (key.clone(), kinds.current(key, &entry.resource)))
            .collect())
    }

    /// Asks the guard about the whole of what is to go and nobody approved.
    fn clear(&self, doomed: &[Doomed], inventory: &Inventory) -> Clearance<'_> {
        let unapproved = || {
            doomed
                .iter()
                .filter(|(key, ..)| !self.consent.approves(key))
        };
        let lost = unapproved().map(|(.., incarnation)| incarnation.uid.clone());
        // What was made by an attempt that was cut short is there too.
        let is_owned =
            |key: &ObjectKey| matches!(inventory.get(key), Some(Ownership::Owned { .. }));
        let cut_short = doomed.iter().filter(|(key, ..)| !is_owned(key)).count();
        let owns = inventory.owned() + cut_short;
        match self.gate.judge(inventory.stack, owns, lost.collect()) {
            Ok(passage) => Clearance::passes(&self.consent, passage),
            Err(barred) => {
                let objects = unapproved().map(|(key, ..)| key.clone()).collect();
                Clearance::holds(&self.consent, objects, barred)
            }
        }
    }

    async fn phase(
        &self,
        mut objects: Vec<(ObjectKey, Resource)>,
        clearance: &Clearance<'_>,
        inventory: &mut Inventory,
        pruned: &mut Pruned,
    ) -> Result<(), Error> {
        if objects.is_empty() {
            return Ok(());
        }
        let mut failures = BTreeMap::new();
        for delay in LOOKS {
            tokio::time::sleep(delay).await;
            let sight = self.cluster.see(objects.clone(), Absence::Asked).await?;
            let mut doomed = self.settle(&mut objects, &sight, inventory, pruned);
            if objects.is_empty() {
                return Ok(());
            }
            doomed.retain(|(key, _, incarnation)| {
                clearance.covers(key, incarnation) && !failures.contains_key(key)
            });
            failures.extend(self.delete(doomed).await);
        }
        let sight = self.cluster.see(objects.clone(), Absence::Asked).await?;
        self.settle(&mut objects, &sight, inventory, pruned);
        for (key, _) in objects {
            if let Some(failure) = failures.remove(&key) {
                pruned.is_well = false;
                pruned.objects.push(failure);
            } else if pruned.waits_for.is_none() {
                let why = match sight.of(&key).and_then(|live| live.deleting.as_ref()) {
                    Some(finalizers) => outcome::being_deleted(finalizers),
                    None => "somebody else keeps changing it".to_owned(),
                };
                pruned.waits_for = Some(format!("waiting for {key} to go: {why}"));
            }
        }
        Ok(())
    }

    /// Takes what is gone or kept out of the list and the inventory; returns what is to be deleted.
    fn settle(
        &self,
        objects: &mut Vec<(ObjectKey, Resource)>,
        sight: &Sight,
        inventory: &mut Inventory,
        pruned: &mut Pruned,
    ) -> Vec<Doomed> {
        let mut doomed = Vec::new();
        objects.retain(|(key, resource)| {
            let Some(ownership) = inventory.get(key) else {
                return false;
            };
            let may_go = |key: &ObjectKey, kind| self.consent.allows(key, kind);
            let loss = self.judge.dropped(key, ownership, sight.of(key), may_go);
            let outcome = match loss {
                Loss::Delete(_) if self.consent.refuses(key) => outcome::refused(key),
                Loss::Delete(incarnation) => {
                    doomed.push((key.clone(), resource.clone(), incarnation));
                    return true;
                }
                Loss::Await { .. } => return true,
                Loss::Forget => {
                    Point::LossGone.reached();
                    outcome::plain(key, ObjectResult::Pruned)
                }
                Loss::Keep(keep) => outcome::kept(key, keep),
            };
            inventory.release(key);
            Point::LossReleased.reached();
            pruned.objects.push(outcome);
            false
        });
        doomed
    }

    /// Asks for deletions; returns those that were refused. An object that changed or went meanwhile
    /// is looked at again, and is no failure.
    async fn delete(&self, doomed: Vec<Doomed>) -> BTreeMap<ObjectKey, ObjectOutcome> {
        let deletions: Vec<_> = doomed
            .iter()
            .map(|(key, resource, incarnation)| {
                let deletion = async move {
                    Point::DeletionSending.reached();
                    let result = self.cluster.delete(resource, key, incarnation).await;
                    Point::DeletionSent.reached();
                    (key, result)
                };
                deletion.boxed()
            })
            .collect();
        let mut failures = BTreeMap::new();
        for (key, result) in self.cluster.together(deletions).await {
            if let Err(error) = result
                && !error.is_conflict()
                && !error.is_not_found()
                && !matches!(error, Error::Stopped)
            {
                failures.insert(key.clone(), outcome::failed(key, &error));
            }
        }
        failures
    }
}
