//! The workloads of a stack and their pods, as somebody who asks is told of them.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use brokkr_core::ObjectKey;
use brokkr_core::access::Rule;
use brokkr_core::readiness;
use brokkr_core::wire::Health;
use futures::FutureExt;
use serde_json::Value;

use super::teller::Teller;
use crate::cluster::{Cluster, Part, Resource};
use crate::observe::{self, Judged, pods::Unseen};

/// So many workloads are asked for their pods.
const MOST_ASKED: usize = 20;

/// Which pods are looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Extent {
    /// Those of the newest version of what is not well.
    Unwell,
    /// Those of all versions of everything.
    All,
}

/// An object with the pods that were found of it.
pub(super) struct Looked<'a> {
    pub judged: Judged<'a>,
    /// Without values of Secrets in their messages.
    pub pods: Vec<Value>,
    pub remark: Option<String>,
}

/// Finds the pods of objects; those that are worst come first.
pub(super) async fn look_at_pods<'a>(
    cluster: &Cluster,
    judged: Vec<Judged<'a>>,
    extent: Extent,
    teller: &Teller,
    remarks: &mut BTreeSet<String>,
) -> Vec<Looked<'a>> {
    let is_asked = |one: &Judged<'_>| {
        let is_meant = extent == Extent::All || one.readiness.health != Health::Current;
        is_meant && (one.pods.is_some() || is_pod(one.key))
    };
    let (mut asked, others): (Vec<_>, Vec<_>) = judged.into_iter().partition(is_asked);
    asked.sort_by_key(|one| (Reverse(one.readiness.health), one.key));
    let rest = asked.split_off(asked.len().min(MOST_ASKED));
    if !rest.is_empty() {
        let count = rest.len();
        remarks.insert(format!(
            "the pods of {count} more workloads were not looked at"
        ));
    }
    let looks: Vec<_> = asked
        .into_iter()
        .map(|one| look_at(cluster, one, extent, teller).boxed())
        .collect();
    let mut looked = cluster.together(looks).await;
    remarks.extend(looked.iter().filter_map(|one| one.remark.clone()));
    looked.extend(rest.into_iter().chain(others).map(|judged| Looked {
        judged,
        pods: Vec::new(),
        remark: None,
    }));
    looked.sort_by_key(|one| (Reverse(one.judged.readiness.health), one.judged.key));
    looked
}

async fn look_at<'a>(
    cluster: &Cluster,
    mut judged: Judged<'a>,
    extent: Extent,
    teller: &Teller,
) -> Looked<'a> {
    let key = judged.key;
    let (mut pods, remark) = match pods_of(cluster, &judged, extent).await {
        Ok(Part { objects, are_all }) => {
            let may_be_more = || format!("{key} may have more pods than those that were looked at");
            (objects, (!are_all).then(may_be_more))
        }
        Err(Unseen { error, rule }) => {
            let what = format!("the pods of {key}");
            (Vec::new(), Some(teller.unseen(&what, &error, &rule)))
        }
    };
    // Before anybody makes shorter words of theirs.
    let redactor = &teller.redactor;
    for pod in &mut pods {
        redactor.redact_messages(pod);
    }
    if let (Extent::Unwell, Some(selection)) = (extent, &judged.pods) {
        // The reasons of pods stand beside it.
        let said = readiness::explain(judged.readiness.clone(), &pods, selection.is_retried);
        judged.readiness.health = said.health;
    }
    Looked {
        judged,
        pods,
        remark,
    }
}

async fn pods_of(cluster: &Cluster, judged: &Judged<'_>, extent: Extent) -> Result<Part, Unseen> {
    let namespace = judged.key.namespace.as_deref();
    match (&judged.pods, extent) {
        (Some(selection), Extent::Unwell) => {
            observe::pods::newest(cluster, namespace, selection).await
        }
        (Some(selection), Extent::All) => observe::pods::all(cluster, namespace, selection).await,
        (None, _) => {
            let pods = Resource::new("", "v1", "pods");
            let pod = cluster.get(&pods, judged.key).await;
            let pod: Option<Value> = pod.map_err(|error| Unseen {
                error,
                rule: Rule::pods(),
            })?;
            Ok(Part {
                objects: pod.into_iter().collect(),
                are_all: true,
            })
        }
    }
}

/// Whether the object is a pod itself.
pub(super) fn is_pod(key: &ObjectKey) -> bool {
    key.group.is_empty() && key.kind == "Pod"
}
