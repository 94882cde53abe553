//! How what a stack owns is doing, from the objects' own status.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use brokkr_core::ObjectKey;
use brokkr_core::plan::STACK_LABEL;
use brokkr_core::readiness::{self, Readiness};
use brokkr_core::wire::Health;
use futures::FutureExt;
use serde_json::Value;

use crate::Error;
use crate::cluster::{Cluster, Resource};
use crate::inventory::Inventory;

const KINDS_AGE: Duration = Duration::from_mins(10);
/// Reasons are for a line in a table; the first few objects say enough.
const NAMED: usize = 3;

/// Judges the objects that take time to become what they should be; all others are.
pub(crate) async fn observe(cluster: &Cluster, inventory: &Inventory) -> Result<Readiness, Error> {
    let mut groups: BTreeMap<String, (Resource, Vec<&ObjectKey>)> = BTreeMap::new();
    let kinds = cluster.kinds(KINDS_AGE).await?;
    for (key, entry) in inventory.entries() {
        if readiness::takes_time(key) {
            let resource = kinds.current(key, &entry.resource);
            let group = groups.entry(resource.collection(key.namespace.as_deref()));
            group.or_insert((resource, Vec::new())).1.push(key);
        }
    }
    let stack = inventory.stack.to_string();
    let looks: Vec<_> = groups
        .into_values()
        .map(|(resource, keys)| judge_group(cluster, &stack, resource, keys).boxed())
        .collect();
    let mut judged = Vec::new();
    for group in cluster.together(looks).await {
        judged.extend(group?);
    }
    judged.sort_by_key(|(key, _)| *key);
    Ok(summary(judged.into_iter()))
}

async fn judge_group<'a>(
    cluster: &Cluster,
    stack: &str,
    resource: Resource,
    keys: Vec<&'a ObjectKey>,
) -> Result<Vec<(&'a ObjectKey, Readiness)>, Error> {
    let namespace = keys.first().and_then(|key| key.namespace.as_deref());
    let label = (STACK_LABEL, stack);
    let objects = match cluster.labelled(&resource, namespace, label).await {
        Ok(objects) => objects,
        // The kind itself is gone, and its objects with it.
        Err(error) if error.is_not_found() => Vec::new(),
        Err(error) => return Err(error),
    };
    let by_name: HashMap<&str, &Value> = objects
        .iter()
        .filter_map(|object| Some((object.pointer("/metadata/name")?.as_str()?, object)))
        .collect();
    let judge = |key: &'a ObjectKey| {
        let readiness = match by_name.get(key.name.as_str()) {
            Some(object) => readiness::judge(key, object),
            None => Readiness::missing(),
        };
        (key, readiness)
    };
    Ok(keys.into_iter().map(judge).collect())
}

/// The worst health of all, and the objects that have it.
fn summary<'a>(judged: impl Iterator<Item = (&'a ObjectKey, Readiness)>) -> Readiness {
    let mut health = Health::Current;
    let mut words: Vec<String> = Vec::new();
    for (key, readiness) in judged {
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
        let all = [
            (&web, readiness(Health::Progressing, "1 of 3")),
            (&database, readiness(Health::Degraded, "broken")),
        ];
        let said = summary(all.into_iter());
        assert_eq!(said.health, Health::Degraded);
        assert_eq!(
            said.reason.as_deref(),
            Some("Deployment.apps shop/database: broken")
        );
        assert_eq!(summary(std::iter::empty()).health, Health::Current);
        let many: Vec<_> = (0..5)
            .map(|_| (&web, readiness(Health::Progressing, "waits")))
            .collect();
        let reason = summary(many.into_iter()).reason.unwrap_or_default();
        assert!(reason.ends_with("and 2 more"), "{reason}");
    }
}
