//! What a content would change, object by object and field by field, told without changing anything.

use std::collections::HashSet;
use std::sync::Arc;

use brokkr_core::ObjectKey;
use brokkr_core::plan::{Judge, Loss, Memory, Verdict};
use brokkr_core::wire::{LivePlan, ObjectOutcome, PlannedAction, PlannedObject, TargetStack};
use futures::FutureExt;
use serde_json::Value;

use super::{KINDS_AGE, LOST, Reconciler};
use crate::Error;
use crate::adopt;
use crate::apply;
use crate::cluster::{Absence, Cluster, Write};
use crate::drift;
use crate::inventory::Inventory;
use crate::outcome;
use crate::plan::{self, Step, Trial};
use crate::prune::Consent;
use crate::validate::Snapshot;

mod shown;

impl Reconciler {
    /// Says what applying a content would do. The cluster judges what it can judge now by a dry run.
    pub async fn rehearse(&self, entry: &TargetStack, text: &Arc<str>) -> Result<LivePlan, Error> {
        let account = entry.service_account.as_ref();
        let cluster = &self.cluster.as_itself().acting_as(account);
        self.records.look().await?;
        let inventory = self.records.open(entry.stack).await?;
        let snapshot = match self.read(cluster, entry, text).await? {
            Ok(snapshot) => snapshot,
            Err(unfit) => {
                let refused = unfit.objects.into_iter();
                let refused = refused.map(|one| told(one, PlannedAction::Refuse));
                return Ok(shown::bounded(refused.collect(), 0));
            }
        };
        let label = entry.stack.to_string();
        let judge = Judge::new(&label, inventory.memory).adopting(entry.adopt);
        let mut plan = plan::make(cluster, judge, &snapshot, &inventory).await?;
        adopt::examine(cluster, &self.records, entry.stack, &mut plan).await?;
        if !entry.drift.is_repaired() {
            drift::leave(cluster, &mut plan).await;
        }
        let steps: Vec<_> = plan
            .steps()
            .map(|step| rehearse_step(cluster, judge, step).boxed())
            .collect();
        let all = steps.len();
        let rehearsed: Result<Vec<_>, _> = cluster.together(steps).await.into_iter().collect();
        let mut objects: Vec<_> = rehearsed?.into_iter().flatten().collect();
        let unchanged = all - objects.len();
        if plan.namespace.is_some() {
            let namespace = snapshot.namespace.as_ref().map(|(key, _)| key);
            objects.extend(namespace.map(|key| plain(key, PlannedAction::Create)));
        }
        objects.extend(losses(cluster, judge, entry, &snapshot, &inventory).await?);
        Ok(shown::bounded(objects, unchanged as u64))
    }
}

/// What would happen to an object that the content has; nothing if it would stay as it is.
async fn rehearse_step(
    cluster: &Cluster,
    judge: Judge<'_>,
    step: &Step<'_>,
) -> Result<Option<PlannedObject>, Error> {
    let key = &step.object.key;
    let planned = match &step.verdict {
        Verdict::Leave => return Ok(None),
        Verdict::Create if step.trial == Trial::BeforeItsGroup => {
            let reason = "not tried, because something that it needs would be made before it";
            with(key, PlannedAction::Create, reason)
        }
        Verdict::Create => match apply::one(cluster, judge, step, Write::DryRun).await {
            Ok(_) => plain(key, PlannedAction::Create),
            Err(refused) => told(refused.outcome, PlannedAction::Refuse),
        },
        Verdict::Update(_) => {
            return rehearse_change(cluster, judge, step, PlannedAction::Change).await;
        }
        Verdict::Adopt(_) => {
            return rehearse_change(cluster, judge, step, PlannedAction::Adopt).await;
        }
        Verdict::Remake(_) => plain(key, PlannedAction::Recreate),
        Verdict::Conflict { managers, claim } => told(
            outcome::conflict(key, managers, claim),
            PlannedAction::Conflict,
        ),
        Verdict::Await { finalizers } => with(
            key,
            PlannedAction::Wait,
            &outcome::being_deleted(finalizers),
        ),
    };
    Ok(Some(planned))
}

/// What would change of an object that is there.
async fn rehearse_change(
    cluster: &Cluster,
    judge: Judge<'_>,
    step: &Step<'_>,
    action: PlannedAction,
) -> Result<Option<PlannedObject>, Error> {
    let (key, resource) = (&step.object.key, &step.object.resource);
    let moved = || {
        Some(with(
            key,
            PlannedAction::Wait,
            "it changed while it was looked at",
        ))
    };
    let Some(before) = cluster.get::<Value>(resource, key).await? else {
        return Ok(moved());
    };
    let ceded = step.ceded();
    let (body, left) = apply::body(step, &step.verdict, ceded, Some(&before), Write::DryRun);
    let after = match cluster.preview(resource, key, &body).await {
        Ok(after) => after,
        Err(error) if error.is_conflict() => return Ok(moved()),
        Err(error @ Error::Refused(_)) => {
            let refused = apply::refused(judge, step, &step.verdict, &error);
            let action = if refused.may_be_remade {
                PlannedAction::Recreate
            } else {
                PlannedAction::Refuse
            };
            return Ok(Some(told(refused.outcome, action)));
        }
        Err(error) => return Err(error),
    };
    let (fields, more_fields) = shown::fields(key, &before, &after);
    // Whose the fields are is nothing that anybody would see.
    if fields.is_empty() && action == PlannedAction::Change {
        return Ok(None);
    }
    Ok(Some(PlannedObject {
        reason: (!left.is_empty()).then(|| left.join("; ")),
        fields,
        more_fields,
        ..plain(key, action)
    }))
}

/// What would become of the objects that the content no longer has.
async fn losses(
    cluster: &Cluster,
    judge: Judge<'_>,
    entry: &TargetStack,
    snapshot: &Snapshot,
    inventory: &Inventory,
) -> Result<Vec<PlannedObject>, Error> {
    let wanted: HashSet<&ObjectKey> = snapshot.objects.iter().map(|o| &o.key).collect();
    let kinds = cluster.kinds(KINDS_AGE).await?;
    let dropped: Vec<_> = inventory
        .entries()
        .iter()
        .filter(|(key, _)| !wanted.contains(key))
        .collect();
    let places = dropped
        .iter()
        .map(|(key, owned)| ((*key).clone(), kinds.current(key, &owned.resource)));
    let sight = cluster.see(places, Absence::Listed).await?;
    let consent = Consent::of(entry);
    let losses = dropped.into_iter().filter_map(|(key, owned)| {
        if inventory.memory == Memory::Lost {
            return Some(with(key, PlannedAction::Keep, LOST));
        }
        let may_go = |key: &ObjectKey, kind| consent.allows(key, kind);
        let loss = judge.dropped(key, &owned.ownership, sight.of(key), may_go);
        let planned = match loss {
            Loss::Forget => return None,
            Loss::Delete(_) if consent.refuses(key) => {
                told(outcome::refused(key), PlannedAction::Keep)
            }
            Loss::Delete(_) => plain(key, PlannedAction::Prune),
            Loss::Keep(keep) => told(outcome::kept(key, keep), PlannedAction::Keep),
            Loss::Await { finalizers } => with(
                key,
                PlannedAction::Wait,
                &outcome::being_deleted(&finalizers),
            ),
        };
        Some(planned)
    });
    Ok(losses.collect())
}

fn plain(object: &ObjectKey, action: PlannedAction) -> PlannedObject {
    PlannedObject {
        object: object.clone(),
        action,
        reason: None,
        fields: Vec::new(),
        more_fields: 0,
    }
}

fn with(object: &ObjectKey, action: PlannedAction, reason: &str) -> PlannedObject {
    PlannedObject {
        reason: Some(reason.to_owned()),
        ..plain(object, action)
    }
}

/// In the words of an attempt.
fn told(outcome: ObjectOutcome, action: PlannedAction) -> PlannedObject {
    PlannedObject {
        reason: outcome.reason,
        ..plain(&outcome.object, action)
    }
}
