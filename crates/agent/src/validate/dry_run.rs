use brokkr_core::mutant::Mutant;
use brokkr_core::plan::Judge;
use futures::FutureExt;

use crate::apply::{self, Refused};
use crate::cluster::{Cluster, Write};
use crate::plan::{Step, Trial};

/// Lets the cluster judge objects without writing them; returns those that it refuses.
pub(crate) async fn dry_run<'a, 'b: 'a>(
    cluster: &Cluster,
    judge: Judge<'_>,
    steps: impl IntoIterator<Item = &'a Step<'b>>,
    trial: Trial,
) -> Vec<Refused> {
    let is_due = |step: &&Step<'_>| step.trial == trial && !Mutant::DryRunSkipped.is_on();
    let due = steps.into_iter().filter(is_due);
    let trials: Vec<_> = due
        .map(|step| apply::one(cluster, judge, step, Write::DryRun).boxed())
        .collect();
    let tried = cluster.together(trials).await;
    tried.into_iter().filter_map(Result::err).collect()
}
