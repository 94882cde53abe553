//! Writes the objects of a plan, phase after phase, by server-side apply.

mod establish;

use brokkr_core::mutant::Mutant;
use brokkr_core::plan::{Judge, Live, Ownership, Phase, Verdict};
use brokkr_core::wire::{ObjectOutcome, ObjectResult};
use futures::FutureExt;
use http::Method;
use serde_json::{Map, Value, json};

use crate::Error;
use crate::cluster::{Cluster, Write};
use crate::inventory::Inventory;
use crate::outcome;
use crate::plan::{Plan, Step, Trial};
use crate::validate;

/// How often an object is looked at anew because somebody else changed it between look and write.
const TRIES: usize = 5;
/// No object ever has this version, so a server-side apply that names it can only create:
/// where an object exists it is refused with 409, and nothing is merged into it.
const VERSION_OF_NONE: &str = "1";

/// What became of a write.
pub(crate) struct Written {
    pub result: ObjectResult,
    pub live: Live,
}

/// What became of a plan.
pub(crate) struct Applied {
    pub objects: Vec<ObjectOutcome>,
    pub is_well: bool,
}

/// Writes what the plan says and notes in the inventory what became ours.
/// After a group in which something failed, nothing more is written.
pub(crate) async fn apply(
    cluster: &Cluster,
    judge: Judge<'_>,
    plan: &Plan<'_>,
    inventory: &mut Inventory,
) -> Result<Applied, Error> {
    if let Some(name) = plan.namespace {
        create_namespace(cluster, name).await?;
    }
    let mut applied = Applied {
        objects: Vec::new(),
        is_well: true,
    };
    for (&(phase, _), steps) in &plan.groups {
        let outcomes = if applied.is_well {
            let mut outcomes = group(cluster, judge, steps, inventory).await?;
            if phase == Phase::Definitions && outcomes.iter().all(is_well) && plan.defines() {
                let defined = plan.defined();
                establish::definitions(cluster, steps, &defined, &mut outcomes).await?;
            }
            outcomes
        } else {
            steps.iter().map(skipped).collect()
        };
        applied.is_well &= outcomes.iter().all(is_well);
        applied.objects.extend(outcomes);
    }
    Ok(applied)
}

async fn group(
    cluster: &Cluster,
    judge: Judge<'_>,
    steps: &[Step<'_>],
    inventory: &mut Inventory,
) -> Result<Vec<ObjectOutcome>, Error> {
    let refused = validate::dry_run(cluster, judge, inventory, steps, Trial::BeforeItsGroup).await;
    if !refused.is_empty() {
        let is_refused = |step: &&Step<'_>| refused.iter().any(|r| r.object == step.object.key);
        let others = steps.iter().filter(|step| !is_refused(step)).map(skipped);
        return Ok(others.chain(refused.clone()).collect());
    }
    let known = &*inventory;
    let writes: Vec<_> = steps
        .iter()
        .map(|step| {
            let ownership = known.get(&step.object.key);
            let write = one(cluster, judge, step, ownership, Write::ForReal);
            write.map(move |result| (step, result)).boxed()
        })
        .collect();
    let written = cluster.together(writes).await;
    let mut outcomes = Vec::with_capacity(written.len());
    for (step, result) in written {
        outcomes.push(match result {
            Ok(None) => outcome::plain(&step.object.key, ObjectResult::Unchanged),
            Ok(Some(written)) => {
                inventory.own(step.object, &written.live);
                outcome::plain(&step.object.key, written.result)
            }
            Err(outcome) => outcome,
        });
    }
    Ok(outcomes)
}

/// Writes one object if its verdict asks for it, and only in the state for which it does: when somebody
/// else was faster, the object is looked at and judged anew.
pub(crate) async fn one(
    cluster: &Cluster,
    judge: Judge<'_>,
    step: &Step<'_>,
    ownership: Option<&Ownership>,
    write: Write,
) -> Result<Option<Written>, ObjectOutcome> {
    let key = &step.object.key;
    let mut verdict = step.verdict.clone();
    for _ in 0..TRIES {
        let body = match &verdict {
            Verdict::Leave => return Ok(None),
            Verdict::Conflict { managers } => return Err(outcome::conflict(key, managers)),
            Verdict::Await { finalizers } => {
                let reason = outcome::being_deleted(finalizers);
                return Err(outcome::with(key, ObjectResult::Failed, reason));
            }
            Verdict::Create | Verdict::Update(_) => body(step, &verdict, write),
        };
        match cluster
            .apply(&step.object.resource, key, &body, write)
            .await
        {
            Ok(live) => {
                return Ok(Some(Written {
                    result: result(&verdict, &live),
                    live,
                }));
            }
            Err(error) if error.is_conflict() => {
                let live = cluster.find(&step.object.resource, key).await;
                let live = live.map_err(|error| outcome::failed(key, &error))?;
                verdict = judge.wanted(step.object.fingerprint, ownership, live.as_ref());
                // Only a pending entry covers an object that is made anew.
                if verdict == Verdict::Create && matches!(ownership, Some(Ownership::Owned { .. }))
                {
                    break;
                }
            }
            Err(error) => return Err(outcome::failed(key, &error)),
        }
    }
    let reason = "somebody else keeps changing it at the same time";
    Err(outcome::with(key, ObjectResult::Failed, reason))
}

/// The object with the precondition of its verdict. A dry run leaves out the version, because
/// the status of a busy object changes all the time.
fn body(step: &Step<'_>, verdict: &Verdict, write: Write) -> Map<String, Value> {
    let mut body = step.object.body.clone();
    if Mutant::PreconditionsLeftOut.is_on() {
        return body;
    }
    let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) else {
        return body;
    };
    let mut require = |field: &str, value: &str| {
        metadata.insert(field.to_owned(), value.into());
    };
    match verdict {
        Verdict::Update(incarnation) => {
            require("uid", &incarnation.uid);
            if write == Write::ForReal {
                require("resourceVersion", &incarnation.resource_version);
            }
        }
        _ => require("resourceVersion", VERSION_OF_NONE),
    }
    body
}

fn result(verdict: &Verdict, live: &Live) -> ObjectResult {
    match verdict {
        Verdict::Update(before) if *before == live.incarnation => ObjectResult::Unchanged,
        Verdict::Update(_) => ObjectResult::Changed,
        _ => ObjectResult::Created,
    }
}

fn skipped(step: &Step<'_>) -> ObjectOutcome {
    let result = match step.verdict {
        Verdict::Leave => ObjectResult::Unchanged,
        _ => ObjectResult::Skipped,
    };
    outcome::plain(&step.object.key, result)
}

fn is_well(outcome: &ObjectOutcome) -> bool {
    matches!(
        outcome.result,
        ObjectResult::Created | ObjectResult::Changed | ObjectResult::Unchanged
    )
}

/// Makes a namespace that belongs to no stack: without label, and never to be deleted by us.
pub(crate) async fn create_namespace(cluster: &Cluster, name: &str) -> Result<(), Error> {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    match cluster
        .write(Method::POST, "/api/v1/namespaces", &namespace)
        .await
    {
        Err(error) if !error.is_conflict() => Err(error),
        _ => Ok(()),
    }
}
