//! Writes the objects of a plan, phase after phase, by server-side apply.

mod establish;
mod remake;

use std::borrow::Cow;

use brokkr_core::failpoint::Point;
use brokkr_core::mutant::Mutant;
use brokkr_core::plan::{Adoption, Cession, Fingerprint, Judge, Live, Phase, Verdict, Wishes};
use brokkr_core::wire::{ObjectOutcome, ObjectResult};
use futures::FutureExt;
use http::Method;
use serde_json::{Map, Value, json};

use crate::Error;
use crate::cluster::{Cluster, Write};
use crate::drift::{self, Since};
use crate::inventory::Inventory;
use crate::outcome;
use crate::plan::{Plan, Step, Trial};
use crate::validate::{self, Object};

/// How often an object is looked at anew because somebody else changed it between look and write.
const TRIES: usize = 5;
/// No object ever has this version, so a server-side apply that names it can only create:
/// where an object exists it is refused with 409, and nothing is merged into it.
const VERSION_OF_NONE: &str = "1";

/// What became of a write.
pub(crate) struct Written {
    pub result: ObjectResult,
    /// What was sent.
    pub manifest: Fingerprint,
    pub live: Live,
    /// What is to be said besides.
    pub remarks: Vec<String>,
}

/// Why an object was not written.
pub(crate) struct Refused {
    pub outcome: ObjectOutcome,
    /// It cannot be changed, and may be deleted and created anew.
    pub may_be_remade: bool,
}

impl From<ObjectOutcome> for Refused {
    fn from(outcome: ObjectOutcome) -> Self {
        Self {
            outcome,
            may_be_remade: false,
        }
    }
}

/// What became of a plan.
pub(crate) struct Applied {
    pub objects: Vec<ObjectOutcome>,
    pub is_well: bool,
    /// It was stopped between two objects.
    pub is_stopped: bool,
}

/// Writes what the plan says and notes in the inventory what became ours.
/// After a group in which something failed, or was stopped, nothing more is written.
pub(crate) async fn apply(
    cluster: &Cluster,
    judge: Judge<'_>,
    plan: &Plan<'_>,
    inventory: &mut Inventory,
) -> Result<Applied, Error> {
    if let Some(name) = plan.namespace.filter(|_| !cluster.is_stopped()) {
        match create_namespace(cluster, name).await {
            Err(Error::Stopped) => {}
            made => made?,
        }
        Point::DefaultNamespaceMade.reached();
    }
    let mut applied = Applied {
        objects: Vec::new(),
        is_well: true,
        is_stopped: false,
    };
    for (&(phase, _), steps) in &plan.groups {
        applied.is_stopped |= cluster.is_stopped();
        let outcomes = if applied.is_well && !applied.is_stopped {
            let mut outcomes = group(cluster, judge, steps, inventory).await;
            applied.is_stopped |= cluster.is_stopped();
            let are_there = !applied.is_stopped && outcomes.iter().all(is_well);
            if phase == Phase::Definitions && are_there && plan.defines() {
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
) -> Vec<ObjectOutcome> {
    let tried = validate::dry_run(cluster, judge, steps, Trial::BeforeItsGroup).await;
    let refused: Vec<_> = tried.into_iter().map(|refused| refused.outcome).collect();
    if !refused.is_empty() {
        let is_refused = |step: &&Step<'_>| refused.iter().any(|r| r.object == step.object.key);
        let others = steps.iter().filter(|step| !is_refused(step)).map(skipped);
        return others.chain(refused.clone()).collect();
    }
    Point::PhaseBegun.reached();
    let writes: Vec<_> = steps
        .iter()
        .map(|step| {
            let write = async move {
                // What was not begun when the attempt was stopped is not judged either.
                if cluster.is_stopped() {
                    return (step, None);
                }
                let result = one(cluster, judge, step, Write::ForReal).await;
                (step, Some(result))
            };
            write.boxed()
        })
        .collect();
    let written = cluster.together(writes).await;
    let mut outcomes = Vec::with_capacity(written.len());
    for (step, result) in written {
        let Some(result) = result else {
            outcomes.push(skipped(step));
            continue;
        };
        outcomes.push(match result {
            Ok(None) => left_alone(step),
            Ok(Some(written)) => {
                inventory.own(step.object, written.manifest, &written.live);
                Point::OwnershipNoted.reached();
                outcome::remarked(&step.object.key, written.result, &written.remarks)
            }
            Err(refused) => refused.outcome,
        });
    }
    Point::PhaseWritten.reached();
    outcomes
}

/// Writes one object if its verdict asks for it, and only in the state for which it does: when somebody
/// else was faster, the object is looked at and judged anew.
pub(crate) async fn one(
    cluster: &Cluster,
    judge: Judge<'_>,
    step: &Step<'_>,
    write: Write,
) -> Result<Option<Written>, Refused> {
    let key = &step.object.key;
    let mut verdict = step.verdict.clone();
    let mut ceded = Cow::Borrowed(step.ceded());
    let mut cluster = Cow::Borrowed(cluster);
    let mut is_remade = false;
    let drift = match write {
        Write::ForReal if drift::is_drift(step) => {
            Some(drift::told(&cluster, step, Since::Before).await)
        }
        _ => None,
    };
    for _ in 0..TRIES {
        let (body, left) = match &verdict {
            Verdict::Leave => return Ok(None),
            Verdict::Conflict { managers, claim } => {
                return Err(outcome::conflict(key, managers, claim).into());
            }
            Verdict::Await { finalizers } => {
                let reason = outcome::being_deleted(finalizers);
                return Err(outcome::with(key, ObjectResult::Failed, reason).into());
            }
            Verdict::Remake(incarnation) => {
                remake::away(&cluster, judge, step, incarnation).await?;
                cluster = Cow::Owned(cluster.to_the_end());
                is_remade = true;
                verdict = Verdict::Create;
                ceded = Cow::Borrowed(&[]);
                continue;
            }
            Verdict::Create => body(step, &verdict, &ceded, None, write),
            Verdict::Update(_) | Verdict::Adopt(_) => {
                let live = whole(&cluster, step).await?;
                body(step, &verdict, &ceded, live.as_ref(), write)
            }
        };
        if write == Write::ForReal {
            Point::ObjectWriting.reached();
        }
        match cluster
            .apply(&step.object.resource, key, &body, write)
            .await
        {
            Ok(live) => {
                if write == Write::ForReal {
                    Point::ObjectWritten.reached();
                }
                let result = if is_remade {
                    ObjectResult::Changed
                } else {
                    result(&verdict, &live)
                };
                // What is left to others was not changed back.
                let drift = drift.filter(|_| result != ObjectResult::Unchanged);
                return Ok(Some(Written {
                    result,
                    manifest: fingerprint(step.object, &ceded),
                    remarks: origin(&verdict, is_remade)
                        .into_iter()
                        .chain(drift)
                        .chain(left)
                        .collect(),
                    live,
                }));
            }
            Err(error) if error.is_conflict() => {
                let live = cluster.find(&step.object.resource, key).await;
                let live = live.map_err(|error| outcome::failed(key, &error))?;
                let before = verdict;
                let left = live.as_ref().map_or(&[][..], |live| &live.ceded);
                let manifest = fingerprint(step.object, left);
                verdict = judge.wanted(manifest, step.ownership.as_ref(), live.as_ref());
                // The inventory says that a write is under way, and only a write can note how it ended.
                if let (Verdict::Leave, Some(live)) = (&verdict, &live) {
                    verdict = Verdict::Update(live.incarnation.clone());
                }
                let is_covered = match &verdict {
                    Verdict::Create => step.is_entered_as_pending(),
                    Verdict::Adopt(adoption) => adoption.is_settled_by(&before),
                    _ => true,
                };
                if !is_covered {
                    break;
                }
                ceded = live.map_or_else(Vec::new, |live| live.ceded).into();
            }
            Err(error) => return Err(refused(judge, step, &verdict, &error)),
        }
    }
    let reason = "somebody else keeps changing it at the same time";
    Err(outcome::with(key, ObjectResult::Failed, reason).into())
}

/// Says why an object was refused, and whether making it anew would help.
pub(crate) fn refused(
    judge: Judge<'_>,
    step: &Step<'_>,
    verdict: &Verdict,
    error: &Error,
) -> Refused {
    let key = &step.object.key;
    let fields = error.immutable();
    let (Verdict::Update(_), Some(live), false) = (verdict, &step.live, fields.is_empty()) else {
        return outcome::failed(key, error).into();
    };
    let obstacle = judge.may_remake(key, Wishes::of(&step.object.body), live);
    Refused {
        outcome: outcome::immutable(key, fields, obstacle.err()),
        may_be_remade: obstacle.is_ok(),
    }
}

/// The whole object as it is now, where that matters. Should it be another one by the time it is written, the server
/// refuses the write.
async fn whole(cluster: &Cluster, step: &Step<'_>) -> Result<Option<Value>, Refused> {
    if step.object.ignored.is_none() {
        return Ok(None);
    }
    let key = &step.object.key;
    let live = cluster.get(&step.object.resource, key).await;
    live.map_err(|error| outcome::failed(key, &error).into())
}

/// The object without what is left to others, and with the precondition of its verdict; and what is left to whom.
/// A dry run leaves out the version, because the status of a busy object changes all the time.
pub(crate) fn body(
    step: &Step<'_>,
    verdict: &Verdict,
    ceded: &[Cession],
    live: Option<&Value>,
    write: Write,
) -> (Map<String, Value>, Vec<String>) {
    let (mut body, left) = match verdict {
        // At its creation it has all that its manifest says.
        Verdict::Create => (step.object.body.clone(), Vec::new()),
        _ => leave_out(step.object, ceded, live),
    };
    if Mutant::PreconditionsLeftOut.is_on() {
        return (body, left);
    }
    let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) else {
        return (body, left);
    };
    let mut require = |field: &str, value: &str| {
        metadata.insert(field.to_owned(), value.into());
    };
    match verdict {
        Verdict::Update(incarnation) | Verdict::Adopt(Adoption { incarnation, .. }) => {
            require("uid", &incarnation.uid);
            if write == Write::ForReal {
                require("resourceVersion", &incarnation.resource_version);
            }
        }
        _ => require("resourceVersion", VERSION_OF_NONE),
    }
    (body, left)
}

/// The object without what others set, and with what is ignored only as far as it would be deleted otherwise; and what is
/// left to whom.
fn leave_out(
    object: &Object,
    ceded: &[Cession],
    live: Option<&Value>,
) -> (Map<String, Value>, Vec<String>) {
    let mut body = object.body.clone();
    let mut left = Vec::new();
    let mut leave = |cession: &Cession, body: &mut Map<String, Value>| {
        let paths = cession.leave_out(body);
        if !paths.is_empty() {
            left.push(format!("left to {}: {}", cession.to, paths.join(", ")));
        }
    };
    if let Some(ignored) = &object.ignored {
        leave(ignored.cession(), &mut body);
        if let Some(live) = live {
            ignored.keep(live, &mut body);
        }
    }
    for cession in ceded {
        leave(cession, &mut body);
    }
    (body, left)
}

/// What tells whether an object was sent as it would be now. What is left to others is no part of it, so that it is
/// noticed when it is theirs no longer.
pub(crate) fn fingerprint(object: &Object, ceded: &[Cession]) -> Fingerprint {
    if ceded.is_empty() && object.ignored.is_none() {
        return object.fingerprint;
    }
    let (body, left) = leave_out(object, ceded, None);
    if left.is_empty() {
        return object.fingerprint;
    }
    Fingerprint::of(Value::Object(body).to_string().as_bytes())
}

/// What is to be said of an object that is not written.
fn left_alone(step: &Step<'_>) -> ObjectOutcome {
    match &step.drift {
        Some(drift) => outcome::with(&step.object.key, ObjectResult::Skipped, drift),
        None => outcome::remarked(&step.object.key, ObjectResult::Unchanged, &left_of(step)),
    }
}

/// What is left to others of an object that is not written.
fn left_of(step: &Step<'_>) -> Vec<String> {
    if step.ceded().is_empty() && step.object.ignored.is_none() {
        return Vec::new();
    }
    leave_out(step.object, step.ceded(), None).1
}

/// From whom an object came to us, if it did.
fn origin(verdict: &Verdict, is_remade: bool) -> Option<String> {
    match verdict {
        _ if is_remade => {
            Some("deleted and created again, because it could not be changed".to_owned())
        }
        Verdict::Adopt(adoption) => Some(outcome::adopted(&adoption.managers)),
        _ => None,
    }
}

fn result(verdict: &Verdict, live: &Live) -> ObjectResult {
    match verdict {
        Verdict::Update(before) if *before == live.incarnation => ObjectResult::Unchanged,
        Verdict::Update(_) | Verdict::Adopt(_) => ObjectResult::Changed,
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

/// What is skipped was not to be written, or is so for what went wrong with another object.
fn is_well(outcome: &ObjectOutcome) -> bool {
    matches!(
        outcome.result,
        ObjectResult::Created
            | ObjectResult::Changed
            | ObjectResult::Unchanged
            | ObjectResult::Skipped
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
        _ => {
            Point::NamespaceMade.reached();
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
