//! What objects ask of a cluster, counted as Kubernetes counts it.

use std::collections::BTreeMap;

use brokkr_core::ObjectKey;
use serde_json::{Map, Value};

use super::pods;
use super::quantity::Quantity;
use crate::cluster::Node;

/// The resources that are counted, beside Pods.
const COUNTED: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
pub(super) const PODS: &str = "pods";

/// Amounts by their names in a `ResourceQuota`: `requests.cpu`, `limits.memory`, `pods`.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Demand(BTreeMap<String, Quantity>);

impl Demand {
    pub(super) fn get(&self, name: &str) -> Quantity {
        self.0.get(name).copied().unwrap_or_default()
    }

    pub(super) fn times(mut self, number: i64) -> Self {
        for amount in self.0.values_mut() {
            *amount = *amount * number;
        }
        self
    }

    fn with(mut self, other: &Self) -> Self {
        for (name, amount) in &other.0 {
            let sum = self.get(name) + *amount;
            self.0.insert(name.clone(), sum);
        }
        self
    }

    fn or_larger(mut self, other: &Self) -> Self {
        for (name, amount) in &other.0 {
            let larger = self.get(name).max(*amount);
            self.0.insert(name.clone(), larger);
        }
        self
    }

    fn overridden_by(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }
}

/// What an object asks for. What it does not say itself, it says as it is in the cluster.
pub(super) fn of(
    key: &ObjectKey,
    body: &Map<String, Value>,
    live: Option<&Map<String, Value>>,
    nodes: &[Node],
) -> Result<Demand, String> {
    match pods::of(key, body) {
        Some(spec) => Ok(of_pod(spec)?.times(number_of_pods(key, body, live, nodes, spec))),
        None => Ok(Demand::default()),
    }
}

/// How many Pods an object makes at the same time.
fn number_of_pods(
    key: &ObjectKey,
    body: &Map<String, Value>,
    live: Option<&Map<String, Value>>,
    nodes: &[Node],
    pod: &Value,
) -> i64 {
    let own = body.get("spec");
    let number = |spec: Option<&Value>, field: &str| spec?.get(field)?.as_i64();
    let is_suspended =
        |spec: Option<&Value>| spec.and_then(|s| s.get("suspend")) == Some(&Value::Bool(true));
    let of_job = |spec: Option<&Value>| {
        let parallel = number(spec, "parallelism").unwrap_or(1);
        if is_suspended(spec) {
            return 0;
        }
        parallel.min(number(spec, "completions").unwrap_or(parallel))
    };
    match key.kind.as_str() {
        "PodTemplate" => 0,
        "Pod" => i64::from(!is_over(body)),
        "DaemonSet" => {
            let selector = pod.get("nodeSelector").and_then(Value::as_object);
            let selector = selector.into_iter().flatten();
            let selector: Vec<_> = selector
                .map(|(label, value)| (label.as_str(), value.as_str()))
                .collect();
            let fits = |node: &&Node| {
                let is_so = |(label, value): &(&str, Option<&str>)| node.label(label) == *value;
                selector.iter().all(is_so)
            };
            i64::try_from(nodes.iter().filter(fits).count()).unwrap_or(i64::MAX)
        }
        "Job" => of_job(own),
        "CronJob" if is_suspended(own) => 0,
        "CronJob" => of_job(own.and_then(|s| s.get("jobTemplate")?.get("spec"))),
        // An autoscaler's number stays if the manifest names none.
        _ => number(own, "replicas")
            .or_else(|| number(live?.get("spec"), "replicas"))
            .unwrap_or(1),
    }
    .max(0)
}

fn is_over(pod: &Map<String, Value>) -> bool {
    let phase = pod.get("status").and_then(|status| status.get("phase"));
    matches!(phase.and_then(Value::as_str), Some("Succeeded" | "Failed"))
}

/// What a Pod asks for: what its containers ask for together, or more while one of its init containers runs.
fn of_pod(spec: &Value) -> Result<Demand, String> {
    let list = |field: &str| {
        let containers = spec.get(field).and_then(Value::as_array);
        containers.into_iter().flatten()
    };
    let (mut sidecars, mut starting) = (Demand::default(), Demand::default());
    for container in list("initContainers") {
        let asks = of_container(container)?;
        if container.get("restartPolicy").and_then(Value::as_str) == Some("Always") {
            sidecars = sidecars.with(&asks);
            starting = starting.or_larger(&sidecars);
        } else {
            starting = starting.or_larger(&asks.with(&sidecars));
        }
    }
    let mut running = sidecars;
    for container in list("containers") {
        running = running.with(&of_container(container)?);
    }
    let mut asks = running.or_larger(&starting);
    // Numbers for the whole Pod stand in place of those of its containers.
    asks = asks.overridden_by(of_container(spec)?);
    if let Some(overhead) = spec.get("overhead") {
        let mut more = amounts("requests", overhead)?.with(&amounts("limits", overhead)?);
        more.0
            .retain(|name, _| name.starts_with("requests.") || asks.0.contains_key(name));
        asks = asks.with(&more);
    }
    asks.0.insert(PODS.to_owned(), Quantity::whole(1));
    Ok(asks)
}

/// What stands under `resources`. Who has a limit and no request asks for the limit.
fn of_container(container: &Value) -> Result<Demand, String> {
    let part = |role: &str, field: &str| match container.get("resources").and_then(|r| r.get(field))
    {
        Some(resources) => amounts(role, resources),
        None => Ok(Demand::default()),
    };
    Ok(part("requests", "limits")?
        .overridden_by(part("requests", "requests")?)
        .overridden_by(part("limits", "limits")?))
}

fn amounts(role: &str, resources: &Value) -> Result<Demand, String> {
    let asked = COUNTED
        .iter()
        .filter_map(|name| Some((name, resources.get(*name).filter(|v| !v.is_null())?)));
    let amounts = asked.map(|(name, amount)| Ok((format!("{role}.{name}"), Quantity::of(amount)?)));
    Ok(Demand(amounts.collect::<Result<_, String>>()?))
}

#[cfg(test)]
mod tests;
