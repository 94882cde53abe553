use brokkr_core::ObjectKey;
use futures::FutureExt;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::demand::{self, Demand};
use super::pods;
use super::room::{self, Capacity, Change};
use super::verdicts::Verdicts;
use crate::Error;
use crate::cluster::{Cluster, Node};
use crate::validate::{Object, Snapshot};

pub(super) const RULE: &str = "resources";
/// More than this is a slip of the pen.
const MOST_HEADROOM: f64 = 1_000.0;

/// The room that there must be.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Resources {
    /// By what the allocatable resources of the nodes are multiplied before a stack is measured by them: more than 1
    /// where nodes are added when they are needed, less where others need a part of them.
    #[serde(default = "all", deserialize_with = "factor")]
    #[cfg_attr(test, schemars(range(min = 0.001, max = 1_000)))]
    headroom: f64,
}

const fn all() -> f64 {
    1.0
}

fn factor<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let factor = f64::deserialize(deserializer)?;
    if (0.001..=MOST_HEADROOM).contains(&factor) {
        Ok(factor)
    } else {
        let reason = format!("headroom is a factor from 0.001 to {MOST_HEADROOM}");
        Err(serde::de::Error::custom(reason))
    }
}

/// Written and empty might mean on or off.
pub(super) fn written<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Resources>, D::Error> {
    match Option::deserialize(deserializer)? {
        Some(resources) => Ok(Some(resources)),
        None => Err(serde::de::Error::custom(
            "write `resources: {}`, or leave it out to judge nothing",
        )),
    }
}

impl Resources {
    /// Refuses the objects for which there is no room.
    pub(super) async fn judge(
        &self,
        cluster: &Cluster,
        snapshot: &Snapshot,
        verdicts: &mut Verdicts,
    ) -> Result<(), Error> {
        let objects = snapshot.objects.iter();
        let makes_pods = |object: &&Object| pods::of(&object.key, &object.body).is_some();
        let makers: Vec<_> = objects.filter(makes_pods).collect();
        if makers.is_empty() {
            return Ok(());
        }
        // What the rules rest on is the agent's to see, and no business of the stack's.
        let own = cluster.as_itself();
        let Some(nodes) = permitted(own.all_nodes().await)? else {
            cannot_tell(&makers, "the agent may not list nodes", verdicts);
            return Ok(());
        };
        let nodes: Vec<_> = nodes.into_iter().filter(Node::is_schedulable).collect();
        let mut changes = Vec::with_capacity(makers.len());
        for (object, live) in look(cluster, &makers).await? {
            match change(object, live.as_ref(), &nodes) {
                Ok(change) => changes.push(change),
                Err(reason) => cannot_tell(&[object], &reason, verdicts),
            }
        }
        match Capacity::of(&nodes, self.headroom) {
            Ok(capacity) => room::judge_by_nodes(&changes, &capacity, verdicts),
            Err(reason) => cannot_tell(&makers, &reason, verdicts),
        }
        for (namespace, changes) in room::by_namespace(&changes) {
            if let Some(quotas) = permitted(own.quotas(namespace).await)? {
                room::judge_by_quotas(namespace, &changes, &quotas, verdicts);
                continue;
            }
            let reason = format!(
                "it cannot tell: the agent may not list the resourcequotas of the namespace {namespace}"
            );
            for change in changes {
                verdicts.refuse(change.key, RULE, reason.as_str());
            }
        }
        Ok(())
    }
}

/// None of what the agent has no right to.
fn permitted<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Err(error) if error.status() == Some(403) => Ok(None),
        answer => answer.map(Some),
    }
}

fn cannot_tell(objects: &[&Object], reason: &str, verdicts: &mut Verdicts) {
    for object in objects {
        verdicts.refuse(&object.key, RULE, format!("it cannot tell: {reason}"));
    }
}

/// The objects with what they are in the cluster.
async fn look<'a>(
    cluster: &Cluster,
    objects: &[&'a Object],
) -> Result<Vec<(&'a Object, Option<Map<String, Value>>)>, Error> {
    let looks: Vec<_> = objects
        .iter()
        .map(|object| async { (*object, cluster.get(&object.resource, &object.key).await) }.boxed())
        .collect();
    let seen = cluster.together(looks).await;
    seen.into_iter()
        .map(|(object, live)| Ok((object, live?)))
        .collect()
}

fn change<'a>(
    object: &'a Object,
    live: Option<&Map<String, Value>>,
    nodes: &[Node],
) -> Result<Change<'a>, String> {
    let key: &ObjectKey = &object.key;
    let present = match live {
        Some(live) => demand::of(key, live, None, nodes)?,
        None => Demand::default(),
    };
    Ok(Change {
        key,
        wanted: demand::of(key, &object.body, live, nodes)?,
        present,
    })
}
