//! How what a stack owns is doing, from the objects' own status, and from that of their pods.

pub(crate) mod pods;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use brokkr_core::ObjectKey;
use brokkr_core::plan::STACK_LABEL;
use brokkr_core::readiness::{self, Readiness, Selection};
use brokkr_core::wire::Health;
use futures::FutureExt;
use serde_json::Value;

use crate::Error;
use crate::cluster::{Cluster, Resource};
use crate::inventory::Inventory;
use crate::redact::Redactor;

const KINDS_AGE: Duration = Duration::from_mins(10);
/// Objects of a kind in more namespaces are read from all namespaces at once.
const WORTH_A_WIDE_LIST: usize = 4;
/// Reasons are for a line in a table; the first few objects say enough.
const NAMED: usize = 3;

/// An object, and how it is doing.
pub(crate) struct Judged<'a> {
    pub(crate) key: &'a ObjectKey,
    pub(crate) readiness: Readiness,
    /// Whose word may tell why, if it is not well.
    pub(crate) pods: Option<Selection>,
}

/// Judges the objects that take time to become what they should be; all others are.
pub(crate) async fn observe(cluster: &Cluster, inventory: &Inventory) -> Result<Readiness, Error> {
    let nothing = Redactor::default();
    let mut judged = judge(cluster, inventory, readiness::takes_time, &nothing).await?;
    pods::explain(cluster, &mut judged).await;
    Ok(summary(judged))
}

/// Judges those objects that are asked for, in the order of their keys, without the values that somebody keeps out. What cannot be
/// looked at is unknown, and does not hide the rest.
pub(crate) async fn judge<'a>(
    cluster: &Cluster,
    inventory: &'a Inventory,
    is_asked_for: impl Fn(&ObjectKey) -> bool,
    redactor: &Redactor,
) -> Result<Vec<Judged<'a>>, Error> {
    let mut groups: BTreeMap<String, (Resource, Vec<&ObjectKey>)> = BTreeMap::new();
    let kinds = cluster.kinds(KINDS_AGE).await?;
    for (key, entry) in inventory.entries() {
        if is_asked_for(key) {
            let resource = kinds.current(key, &entry.resource);
            let group = groups.entry(resource.collection(None));
            group.or_insert((resource, Vec::new())).1.push(key);
        }
    }
    let selector = format!("{STACK_LABEL}={}", inventory.stack);
    let looks: Vec<_> = groups
        .into_values()
        .map(|(resource, keys)| judge_kind(cluster, &selector, resource, keys, redactor).boxed())
        .collect();
    let mut judged: Vec<_> = cluster
        .together(looks)
        .await
        .into_iter()
        .flatten()
        .collect();
    judged.sort_by_key(|judged| judged.key);
    Ok(judged)
}

async fn judge_kind<'a>(
    cluster: &Cluster,
    selector: &str,
    resource: Resource,
    keys: Vec<&'a ObjectKey>,
    redactor: &Redactor,
) -> Vec<Judged<'a>> {
    let namespaces: BTreeSet<_> = keys.iter().map(|key| key.namespace.as_deref()).collect();
    if namespaces.len() > WORTH_A_WIDE_LIST {
        match see(cluster, &resource, None, selector, &keys).await {
            // It may still read what is in each of them.
            Err(error) if error.is_forbidden() => {}
            seen => return judge_all(keys, seen, redactor),
        }
    }
    let mut judged = Vec::with_capacity(keys.len());
    for namespace in namespaces {
        let keys = keys
            .iter()
            .filter(|key| key.namespace.as_deref() == namespace);
        let keys: Vec<_> = keys.copied().collect();
        let seen = see(cluster, &resource, namespace, selector, &keys).await;
        judged.extend(judge_all(keys, seen, redactor));
    }
    judged
}

/// Of what takes no time it only matters that it is there; it may be large, or secret.
async fn see(
    cluster: &Cluster,
    resource: &Resource,
    namespace: Option<&str>,
    selector: &str,
    keys: &[&ObjectKey],
) -> Result<Vec<Value>, Error> {
    if keys.iter().any(|key| readiness::takes_time(key)) {
        cluster.selected(resource, namespace, selector).await
    } else {
        cluster
            .selected_metadata(resource, namespace, selector)
            .await
    }
}

fn judge_all<'a>(
    keys: Vec<&'a ObjectKey>,
    seen: Result<Vec<Value>, Error>,
    redactor: &Redactor,
) -> Vec<Judged<'a>> {
    let objects = match seen {
        Ok(objects) => objects,
        // The kind itself is gone, and its objects with it.
        Err(error) if error.is_not_found() => Vec::new(),
        Err(error) => return unseen(keys, &error),
    };
    let mut by_place: HashMap<_, _> = objects
        .into_iter()
        .filter_map(|object| {
            let metadata = object.get("metadata")?;
            let text = |field| Some(metadata.get(field)?.as_str()?.to_owned());
            Some(((text("namespace"), text("name")?), object))
        })
        .collect();
    let judge =
        |key: &'a ObjectKey| match by_place.remove(&(key.namespace.clone(), key.name.clone())) {
            Some(mut object) => {
                let pods = Selection::of(key, &object);
                redactor.redact_messages(&mut object);
                Judged {
                    key,
                    readiness: readiness::judge(key, &object),
                    pods,
                }
            }
            None => Judged {
                key,
                readiness: Readiness::missing(),
                pods: None,
            },
        };
    keys.into_iter().map(judge).collect()
}

/// Objects that were not seen: the first of them says why, for all.
fn unseen<'a>(keys: Vec<&'a ObjectKey>, error: &Error) -> Vec<Judged<'a>> {
    let mut reason = Some(format!("cannot be seen: {error}"));
    let judge = |key| Judged {
        key,
        readiness: Readiness {
            health: Health::Unknown,
            reason: reason.take(),
        },
        pods: None,
    };
    keys.into_iter().map(judge).collect()
}

/// The worst health of all, and the objects that have it.
fn summary<'a>(judged: impl IntoIterator<Item = Judged<'a>>) -> Readiness {
    let mut health = Health::Current;
    let mut words: Vec<String> = Vec::new();
    for Judged { key, readiness, .. } in judged {
        if readiness.health > health {
            health = readiness.health;
            words.clear();
        }
        if readiness.health == health
            && let Some(reason) = readiness.reason
        {
            words.push(format!("{key}: {reason}"));
        }
    }
    let more = words.len().saturating_sub(NAMED);
    words.truncate(NAMED);
    if more > 0 {
        words.push(format!("and {more} more"));
    }
    Readiness {
        health,
        reason: (!words.is_empty()).then(|| words.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_object_speaks_for_the_stack() {
        let key = |name: &str| ObjectKey {
            group: "apps".into(),
            kind: "Deployment".into(),
            namespace: Some("shop".into()),
            name: name.into(),
        };
        let readiness = |health, reason: &str| Readiness {
            health,
            reason: Some(reason.into()).filter(|r: &String| !r.is_empty()),
        };
        let (web, database) = (key("web"), key("database"));
        let judged = |key, health, reason| Judged {
            key,
            readiness: readiness(health, reason),
            pods: None,
        };
        let said = summary([
            judged(&web, Health::Progressing, "1 of 3"),
            judged(&database, Health::Degraded, "broken"),
            judged(&web, Health::Unknown, "forbidden"),
        ]);
        assert_eq!(said.health, Health::Degraded);
        assert_eq!(
            said.reason.as_deref(),
            Some("Deployment.apps shop/database: broken")
        );
        assert_eq!(summary([]).health, Health::Current);
        let many = (0..5).map(|_| judged(&web, Health::Progressing, "waits"));
        let reason = summary(many).reason.unwrap_or_default();
        assert!(reason.ends_with("and 2 more"), "{reason}");
    }
}
