//! Waits until the cluster serves what was just defined.

use std::time::Duration;

use brokkr_core::failpoint::Point;
use brokkr_core::readiness;
use brokkr_core::wire::{Health, ObjectOutcome, ObjectResult};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::Error;
use crate::cluster::Cluster;
use crate::outcome;
use crate::plan::Step;
use crate::validate::Object;

/// A busy server takes a second or two; a definition that it refuses never gets there.
const PATIENCE: Duration = Duration::from_secs(30);
const FIRST_DELAY: Duration = Duration::from_millis(25);
const LONGEST_DELAY: Duration = Duration::from_secs(1);

/// Waits for definitions to be established, and for the kinds of `defined` to be served.
/// A definition that is not established in time becomes a failure.
pub(super) async fn definitions(
    cluster: &Cluster,
    steps: &[Step<'_>],
    defined: &[&Object],
    outcomes: &mut [ObjectOutcome],
) -> Result<(), Error> {
    let deadline = Instant::now() + PATIENCE;
    for step in steps {
        if let Some(reason) = refusal(cluster, step, deadline).await?
            && let Some(outcome) = outcomes.iter_mut().find(|o| o.object == step.object.key)
        {
            *outcome = outcome::with(&step.object.key, ObjectResult::Failed, reason);
        }
    }
    served(cluster, defined, deadline).await?;
    Point::KindsServed.reached();
    Ok(())
}

/// Why a definition is not established by the deadline, if it is not.
async fn refusal(
    cluster: &Cluster,
    step: &Step<'_>,
    deadline: Instant,
) -> Result<Option<String>, Error> {
    let key = &step.object.key;
    let mut delay = FIRST_DELAY;
    loop {
        let object: Option<Value> = cluster.get(&step.object.resource, key).await?;
        let reason = match object.map(|object| readiness::judge(key, &object)) {
            Some(readiness) if readiness.health == Health::Current => {
                Point::DefinitionEstablished.reached();
                return Ok(None);
            }
            Some(readiness) => readiness.reason,
            None => Some("it was deleted meanwhile".to_owned()),
        };
        if Instant::now() >= deadline {
            return Ok(reason);
        }
        sleep(delay).await;
        delay = (delay * 2).min(LONGEST_DELAY);
    }
}

/// Between "established" and the first answer lies a moment, in which the server says 404.
async fn served(cluster: &Cluster, defined: &[&Object], deadline: Instant) -> Result<(), Error> {
    let mut delay = FIRST_DELAY;
    loop {
        let kinds = cluster.kinds(Duration::ZERO).await?;
        let is_served = |object: &&Object| {
            let versions = kinds.versions(&object.key.group, &object.key.kind);
            versions
                .iter()
                .any(|(resource, _)| *resource == object.resource)
        };
        if defined.iter().all(is_served) || Instant::now() >= deadline {
            return Ok(());
        }
        sleep(delay).await;
        delay = (delay * 2).min(LONGEST_DELAY);
    }
}
