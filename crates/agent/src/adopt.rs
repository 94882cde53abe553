//! Objects of somebody else that a stack takes over, and what is looked at before it may.

use brokkr_core::StackId;
use brokkr_core::failpoint::Point;
use brokkr_core::mutant::Mutant;
use brokkr_core::plan::{Adoption, Claim, Verdict, differences};
use futures::FutureExt;
use serde_json::Value;

use crate::Error;
use crate::apply;
use crate::cluster::{Cluster, Write};
use crate::inventory::Records;
use crate::outcome;
use crate::plan::{Plan, Step};

/// Makes conflicts of the adoptions that must not be: what another stack of this agent owns, and what is not as it would
/// be applied where only that may be taken.
pub(crate) async fn examine(
    cluster: &Cluster,
    records: &Records,
    stack: StackId,
    plan: &mut Plan<'_>,
) -> Result<(), Error> {
    let mut adoptions: Vec<_> = plan
        .steps_mut()
        .filter_map(|step| match &step.verdict {
            Verdict::Adopt(adoption) => Some((adoption.clone(), step)),
            _ => None,
        })
        .collect();
    if adoptions.is_empty() {
        return Ok(());
    }
    let owners = records.owners_beside(stack).await?;
    let looks: Vec<_> = adoptions
        .iter_mut()
        .map(|(adoption, step)| {
            let owner = owners.get(&adoption.incarnation.uid);
            let owner = owner.filter(|_| !Mutant::OtherStacksTaken.is_on());
            async move {
                let claim = match owner {
                    Some(owner) => Some(Claim::Recorded(owner.to_string())),
                    None if adoption.if_identical && !Mutant::DifferenceIgnored.is_on() => {
                        claim_of_difference(cluster, step, adoption).await?
                    }
                    None => None,
                };
                if let Some(claim) = claim {
                    let managers = std::mem::take(&mut adoption.managers);
                    step.verdict = Verdict::Conflict { managers, claim };
                }
                Ok(())
            }
            .boxed()
        })
        .collect();
    let examined: Result<(), Error> = cluster.together(looks).await.into_iter().collect();
    Point::AdoptionsExamined.reached();
    examined
}

/// Why an object is not identical to what would be applied; none if it is.
async fn claim_of_difference(
    cluster: &Cluster,
    step: &Step<'_>,
    adoption: &Adoption,
) -> Result<Option<Claim>, Error> {
    let (key, resource) = (&step.object.key, &step.object.resource);
    let Some(before) = cluster.get::<Value>(resource, key).await? else {
        return Ok(Some(Claim::Busy));
    };
    let seen = before.pointer("/metadata/resourceVersion");
    if seen.and_then(Value::as_str) != Some(&adoption.incarnation.resource_version) {
        return Ok(Some(Claim::Busy));
    }
    let (body, _) = apply::body(
        step,
        &step.verdict,
        step.ceded(),
        Some(&before),
        Write::ForReal,
    );
    let claim = match cluster.preview(resource, key, &body).await {
        Ok(after) => {
            let paths = differences(&before, &after);
            (!paths.is_empty()).then_some(Claim::Different(paths))
        }
        Err(error) if error.is_conflict() => Some(Claim::Busy),
        Err(error @ Error::Refused(_)) => {
            let told = outcome::failed(key, &error).reason.unwrap_or_default();
            Some(Claim::Untried(told))
        }
        Err(error) => return Err(error),
    };
    Ok(claim)
}
