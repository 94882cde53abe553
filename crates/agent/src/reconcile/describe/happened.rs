//! What Kubernetes told of objects lately.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use brokkr_core::ObjectKey;
use brokkr_core::access::Rule;
use brokkr_core::wire::{Health, KubernetesEvent};
use futures::FutureExt;
use jiff::Timestamp;
use serde_json::Value;

use super::super::teller::Teller;
use super::super::workloads::Looked;
use crate::cluster::{Cluster, Resource};

const MOST: usize = 20;
/// Events of a namespace come in pages of 500, and in no order.
const MOST_PAGES: usize = 10;
/// In so many namespaces is looked for them.
const MOST_NAMESPACES: usize = 20;

/// The events about what is not well, by namespace.
pub(super) async fn happened(
    cluster: &Cluster,
    looked: &[Looked<'_>],
    teller: &Teller,
    remarks: &mut BTreeSet<String>,
) -> BTreeMap<String, Vec<Value>> {
    let unwell = looked
        .iter()
        .filter(|one| one.judged.readiness.health != Health::Current);
    let namespaces: BTreeSet<_> = unwell
        .filter_map(|one| one.judged.key.namespace.clone())
        .collect();
    let more = namespaces.len().saturating_sub(MOST_NAMESPACES);
    if more > 0 {
        remarks.insert(format!(
            "the events of {more} more namespaces were not looked at"
        ));
    }
    let looks: Vec<_> = namespaces
        .into_iter()
        .take(MOST_NAMESPACES)
        .map(|namespace| events_in(cluster, namespace, looked, teller).boxed())
        .collect();
    let mut events = BTreeMap::new();
    for (namespace, found, remark) in cluster.together(looks).await {
        events.insert(namespace, found);
        remarks.extend(remark);
    }
    events
}

async fn events_in(
    cluster: &Cluster,
    namespace: String,
    looked: &[Looked<'_>],
    teller: &Teller,
) -> (String, Vec<Value>, Option<String>) {
    let names: HashSet<&str> = looked
        .iter()
        .flat_map(|one| {
            let pods = one
                .pods
                .iter()
                .filter_map(|pod| text(pod, "/metadata/name"));
            pods.chain([one.judged.key.name.as_str()])
        })
        .collect();
    let may_be_about = |event: &Value| {
        let name = text(event, "/involvedObject/name").unwrap_or_default();
        names.contains(name) || owner(event).is_some_and(|owner| names.contains(owner))
    };
    let events = Resource::new("", "v1", "events");
    let found = cluster
        .some_wanted(&events, &namespace, MOST_PAGES, may_be_about)
        .await;
    let what = format!("the events in namespace {namespace}");
    match found {
        Ok(part) => {
            let remark = (!part.are_all).then(|| {
                format!(
                    "{what} are too many: only the first {} were looked through",
                    MOST_PAGES * 500
                )
            });
            (namespace, part.objects, remark)
        }
        Err(error) => {
            let remark = teller.unseen(&what, &error, &Rule::events());
            (namespace, Vec::new(), Some(remark))
        }
    }
}

/// Those about an object and its pods, the newest first, and how many more there are.
pub(super) fn about(
    key: &ObjectKey,
    uid: Option<&str>,
    pods: &[Value],
    events: &[Value],
    teller: &Teller,
) -> (Vec<KubernetesEvent>, u64) {
    let uids: HashSet<&str> = pods
        .iter()
        .filter_map(|pod| text(pod, "/metadata/uid"))
        .chain(uid)
        .collect();
    let is_about = |event: &&Value| {
        text(event, "/involvedObject/uid").is_some_and(|uid| uids.contains(uid))
            || (key.kind == "Deployment" && owner(event) == Some(key.name.as_str()))
    };
    let mut found: Vec<_> = events.iter().filter(is_about).collect();
    found.sort_by_key(|event| Reverse(last(event)));
    let more = found.len().saturating_sub(MOST);
    let told = found.into_iter().take(MOST);
    (
        told.map(|event| told_of(event, teller)).collect(),
        more as u64,
    )
}

/// The name of the Deployment whose `ReplicaSet` an event is about: that is where it is told that pods cannot be made.
fn owner(event: &Value) -> Option<&str> {
    if text(event, "/involvedObject/kind") != Some("ReplicaSet") {
        return None;
    }
    let (owner, _hash) = text(event, "/involvedObject/name")?.rsplit_once('-')?;
    Some(owner)
}

fn told_of(event: &Value, teller: &Teller) -> KubernetesEvent {
    let said = |at| text(event, at).unwrap_or_default();
    let count = ["/series/count", "/count"]
        .into_iter()
        .find_map(|at| event.pointer(at)?.as_u64());
    let about = format!(
        "{} {}",
        said("/involvedObject/kind"),
        said("/involvedObject/name")
    );
    KubernetesEvent {
        about,
        severity: teller.tell(said("/type")),
        reason: teller.tell(said("/reason")),
        message: teller.tell(said("/message")),
        count: count.unwrap_or(1),
        last: last(event),
    }
}

fn last(event: &Value) -> Option<Timestamp> {
    [
        "/series/lastObservedTime",
        "/lastTimestamp",
        "/eventTime",
        "/metadata/creationTimestamp",
    ]
    .into_iter()
    .find_map(|at| text(event, at)?.parse().ok())
}

fn text<'a>(object: &'a Value, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer)?.as_str()
}
