//! Asks the pods of what is not well for the reason.

use brokkr_core::access::Rule;
use brokkr_core::readiness::{self, Readiness, Selection};
use brokkr_core::wire::Health;
use futures::FutureExt;
use serde_json::Value;

use super::{Judged, NAMED};
use crate::Error;
use crate::cluster::{Cluster, Part, Resource};

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
    match newest(cluster, judged.key.namespace.as_deref(), selection).await {
        Ok(pods) => {
            let readiness = std::mem::replace(&mut judged.readiness, Readiness::CURRENT);
            judged.readiness = readiness::explain(readiness, &pods.objects, selection.is_retried);
        }
        Err(Unseen { error, .. }) => {
            let reason = judged.readiness.reason.take().unwrap_or_default();
            judged.readiness.reason = Some(format!("{reason}; its pods cannot be seen: {error}"));
        }
    }
}

/// What was needed to find pods and cannot be seen.
pub(crate) struct Unseen {
    pub error: Error,
    /// What would let it be seen.
    pub rule: Rule,
}

/// The pods of a workload's newest version, a hundred at most.
pub(crate) async fn newest(
    cluster: &Cluster,
    namespace: Option<&str>,
    selection: &Selection,
) -> Result<Part, Unseen> {
    if selection.revision.is_none() {
        return owned_pods(cluster, namespace, selection, &[selection.owner.as_str()]).await;
    }
    match selection.within(&replica_sets(cluster, namespace, selection).await?) {
        Some(newest) => owned_pods(cluster, namespace, &newest, &[newest.owner.as_str()]).await,
        None => Ok(Part::NOTHING),
    }
}

/// The pods of all versions of a workload, a hundred at most.
pub(crate) async fn all(
    cluster: &Cluster,
    namespace: Option<&str>,
    selection: &Selection,
) -> Result<Part, Unseen> {
    if selection.revision.is_none() {
        return owned_pods(cluster, namespace, selection, &[selection.owner.as_str()]).await;
    }
    let replica_sets = replica_sets(cluster, namespace, selection).await?;
    let owned = replica_sets.iter();
    let owned = owned.filter(|object| Selection::is_owned_by(object, &selection.owner));
    let owners: Vec<_> = owned
        .filter_map(|object| object.pointer("/metadata/uid")?.as_str())
        .collect();
    owned_pods(cluster, namespace, selection, &owners).await
}

async fn replica_sets(
    cluster: &Cluster,
    namespace: Option<&str>,
    selection: &Selection,
) -> Result<Vec<Value>, Unseen> {
    let replica_sets = Resource::new("apps", "v1", "replicasets");
    cluster
        .selected_metadata(&replica_sets, namespace, &selection.selector)
        .await
        .map_err(|error| Unseen {
            error,
            rule: Rule::replica_sets(),
        })
}

async fn owned_pods(
    cluster: &Cluster,
    namespace: Option<&str>,
    selection: &Selection,
    owners: &[&str],
) -> Result<Part, Unseen> {
    let pods = Resource::new("", "v1", "pods");
    let mut pods = cluster
        .some_selected(&pods, namespace, &selection.selector, ASKED)
        .await
        .map_err(|error| Unseen {
            error,
            rule: Rule::pods(),
        })?;
    pods.objects.retain(|pod| {
        owners
            .iter()
            .any(|owner| Selection::is_owned_by(pod, owner))
    });
    Ok(pods)
}
