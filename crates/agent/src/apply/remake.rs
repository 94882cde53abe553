//! Takes an object away that cannot be changed, so that it can be created anew. Its inventory entry is pending by then, which
//! covers the old one, the new one, and nothing in between.

use std::time::Duration;

use brokkr_core::failpoint::Point;
use brokkr_core::plan::{Incarnation, Judge, Wishes};
use brokkr_core::wire::{ObjectOutcome, ObjectResult};
use tokio::time::sleep;

use super::TRIES;
use crate::cluster::Cluster;
use crate::outcome;
use crate::plan::Step;

/// Most objects are gone at once; for others the next attempt waits.
const LOOKS: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// Deletes an object and waits until it is gone.
pub(super) async fn away(
    cluster: &Cluster,
    judge: Judge<'_>,
    step: &Step<'_>,
    incarnation: &Incarnation,
) -> Result<(), ObjectOutcome> {
    let (key, resource) = (&step.object.key, &step.object.resource);
    let failed = |error| outcome::failed(key, &error);
    let mut doomed = incarnation.clone();
    for _ in 0..TRIES {
        Point::RemakeDeleting.reached();
        match cluster.delete(resource, key, &doomed).await {
            Ok(()) => {
                Point::RemakeDeleted.reached();
                return gone(cluster, step, &doomed).await;
            }
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) if !error.is_conflict() => return Err(failed(error)),
            Err(_) => {}
        }
        let Some(live) = cluster.find(resource, key).await.map_err(failed)? else {
            return Ok(());
        };
        let is_allowed = judge.may_remake(key, Wishes::of(&step.object.body), &live);
        if live.incarnation.uid != doomed.uid || is_allowed.is_err() {
            break;
        }
        doomed = live.incarnation;
    }
    let reason = "somebody else changes it while it is to be created again";
    Err(outcome::with(key, ObjectResult::Failed, reason))
}

async fn gone(
    cluster: &Cluster,
    step: &Step<'_>,
    doomed: &Incarnation,
) -> Result<(), ObjectOutcome> {
    let (key, resource) = (&step.object.key, &step.object.resource);
    let mut finalizers = Vec::new();
    for delay in LOOKS {
        sleep(delay).await;
        let live = cluster.find(resource, key).await;
        match live.map_err(|error| outcome::failed(key, &error))? {
            Some(live) if live.incarnation.uid == doomed.uid => {
                finalizers = live.deleting.unwrap_or_default();
            }
            _ => {
                Point::RemakeGone.reached();
                return Ok(());
            }
        }
    }
    let reason = format!(
        "it is created again when it is gone: {}",
        outcome::being_deleted(&finalizers)
    );
    Err(outcome::with(key, ObjectResult::Failed, reason))
}
