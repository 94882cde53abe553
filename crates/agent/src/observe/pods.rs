//! Asks the pods of what is not well for the reason.

use brokkr_core::readiness::{self, Readiness, Selection};
use brokkr_core::wire::Health;
use futures::FutureExt;
use serde_json::Value;

use super::{Judged, NAMED};
use crate::Error;
use crate::cluster::{Cluster, Resource};

/// So many pods say what is wrong with all of them.
const ASKED: usize = 100;

/// Adds what the pods say to the workloads that are not well, as many as are named.
pub(super) async fn explain(cluster: &Cluster, judged: &mut [Judged<'_>]) {
    let mut unwell: Vec<_> = judged
        .iter_mut()
        .filter(|judged| judged.readiness.health != Health::Current && judged.pods.is_some())
        .collect();
    unwell.sort_by_key(|judged| std::cmp::Reverse(judged.readiness.health));
    unwell.truncate(NAMED);
    let asked = unwell
        .into_iter()
        .map(|judged| explain_one(cluster, judged).boxed());
    cluster.together(asked.collect::<Vec<_>>()).await;
}

async fn explain_one(cluster: &Cluster, judged: &mut Judged<'_>) {
    let Some(selection) = &judged.pods else {
        return;
    };
    match pods(cluster, judged.key.namespace.as_deref(), selection).await {
        Ok(pods) => {
            let readiness = std::mem::replace(&mut judged.readiness, Readiness::CURRENT);
            judged.readiness = readiness::explain(readiness, &pods, selection.is_retried);
        }
        Err(error) => {
            let reason = judged.readiness.reason.take().unwrap_or_default();
            judged.readiness.reason = Some(format!("{reason}; its pods cannot be seen: {error}"));
        }
    }
}

async fn pods(
    cluster: &Cluster,
    namespace: Option<&str>,
    selection: &Selection,
) -> Result<Vec<Value>, Error> {
    if selection.revision.is_none() {
        return owned_pods(cluster, namespace, selection).await;
    }
    let replica_sets = Resource::new("apps", "v1", "replicasets");
    let replica_sets = cluster
        .selected_metadata(&replica_sets, namespace, &selection.selector)
        .await?;
    match selection.within(&replica_sets) {
        Some(newest) => owned_pods(cluster, namespace, &newest).await,
        None => Ok(Vec::new()),
    }
}

async fn owned_pods(
    cluster: &Cluster,
    namespace: Option<&str>,
    selection: &Selection,
) -> Result<Vec<Value>, Error> {
    let pods = Resource::new("", "v1", "pods");
    let mut pods = cluster
        .some_selected(&pods, namespace, &selection.selector, ASKED)
        .await?;
    pods.retain(|pod| Selection::is_owned_by(pod, &selection.owner));
    Ok(pods)
}
