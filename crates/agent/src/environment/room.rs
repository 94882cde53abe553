//! Whether there is room for what grows.

use std::collections::BTreeMap;

use brokkr_core::ObjectKey;

use super::demand::{Demand, PODS};
use super::quantity::Quantity;
use super::resources::RULE;
use super::verdicts::Verdicts;
use crate::cluster::{Node, Quota};

/// What the nodes are asked for, by its name in a quota, and what it is called at a node.
const OF_NODES: [(&str, &str); 4] = [
    ("requests.cpu", "cpu"),
    ("requests.memory", "memory"),
    ("requests.ephemeral-storage", "ephemeral-storage"),
    (PODS, "pods"),
];

/// What an object asks for, and what it asks for already.
pub(super) struct Change<'a> {
    pub key: &'a ObjectKey,
    pub wanted: Demand,
    pub present: Demand,
}

impl Change<'_> {
    fn growth(&self, name: &str) -> Quantity {
        self.wanted.get(name) - self.present.get(name)
    }
}

/// What the nodes have for Pods together.
pub(super) struct Capacity(BTreeMap<&'static str, Quantity>);

impl Capacity {
    pub(super) fn of(nodes: &[Node], headroom: f64) -> Result<Self, String> {
        // Exact up to thousandths, and from 1 to a million.
        #[expect(clippy::cast_possible_truncation)]
        let thousandths = (headroom * 1_000.0).round() as i128;
        let mut capacity = BTreeMap::new();
        for (name, at_node) in OF_NODES {
            let amounts = nodes.iter().filter_map(|node| node.allocatable(at_node));
            let sum: Quantity = amounts.map(Quantity::of).sum::<Result<_, _>>()?;
            capacity.insert(name, sum.thousandths(thousandths));
        }
        Ok(Self(capacity))
    }
}

/// Refuses what grows beyond what the nodes have, be they empty or not.
pub(super) fn judge_by_nodes(changes: &[Change<'_>], nodes: &Capacity, verdicts: &mut Verdicts) {
    for (name, has) in &nodes.0 {
        let more: Quantity = changes.iter().map(|change| change.growth(name)).sum();
        let all: Quantity = changes.iter().map(|change| change.wanted.get(name)).sum();
        if more <= Quantity::ZERO || all <= *has {
            continue;
        }
        let (more, all, has) = (told(name, more), amount(name, all), amount(name, *has));
        let reason =
            format!("the stack asks for {more} more, {all} in all, and the nodes have {has}");
        refuse_what_grows(changes, name, &reason, verdicts);
    }
}

/// Refuses what grows beyond what a quota of its namespace has left.
pub(super) fn judge_by_quotas(
    namespace: &str,
    changes: &[&Change<'_>],
    quotas: &[Quota],
    verdicts: &mut Verdicts,
) {
    for quota in quotas.iter().filter(|quota| quota.is_of_all_pods()) {
        for (written, hard) in &quota.status.hard {
            let name = name_of(written);
            let more: Quantity = changes.iter().map(|change| change.growth(name)).sum();
            if more <= Quantity::ZERO {
                continue;
            }
            let used = quota.status.used.get(written);
            let used = used.map_or(Ok(Quantity::ZERO), Quantity::of);
            let reason = match (Quantity::of(hard), used) {
                (Ok(hard), Ok(used)) if used + more <= hard => continue,
                (Ok(hard), Ok(used)) => format!(
                    "the stack asks for {} more in the namespace {namespace}, whose quota {} has {} left of {}",
                    told(name, more),
                    quota.name(),
                    amount(name, (hard - used).max(Quantity::ZERO)),
                    amount(name, hard)
                ),
                _ => format!("it cannot tell: the quota {} cannot be read", quota.name()),
            };
            refuse_what_grows(changes.iter().copied(), name, &reason, verdicts);
        }
    }
}

/// The changes by the namespaces where Pods are made.
pub(super) fn by_namespace<'a>(
    changes: &'a [Change<'a>],
) -> BTreeMap<&'a str, Vec<&'a Change<'a>>> {
    let mut namespaces: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for change in changes {
        if let Some(namespace) = &change.key.namespace {
            namespaces.entry(&**namespace).or_default().push(change);
        }
    }
    namespaces
}

fn refuse_what_grows<'a>(
    changes: impl IntoIterator<Item = &'a Change<'a>>,
    name: &str,
    reason: &str,
    verdicts: &mut Verdicts,
) {
    for change in changes {
        if change.growth(name) > Quantity::ZERO {
            verdicts.refuse(change.key, RULE, reason);
        }
    }
}

/// A quota may be written in short.
fn name_of(written: &str) -> &str {
    match written {
        "cpu" => "requests.cpu",
        "memory" => "requests.memory",
        "ephemeral-storage" => "requests.ephemeral-storage",
        "count/pods" => PODS,
        written => written,
    }
}

fn amount(name: &str, amount: Quantity) -> String {
    if name.ends_with("memory") || name.ends_with("storage") {
        amount.as_bytes()
    } else {
        amount.to_string()
    }
}

fn told(name: &str, more: Quantity) -> String {
    let amount = amount(name, more);
    match name {
        "requests.cpu" => format!("{amount} CPU"),
        "requests.memory" => format!("{amount} of memory"),
        "requests.ephemeral-storage" => format!("{amount} of ephemeral storage"),
        PODS if more == Quantity::whole(1) => "1 Pod".to_owned(),
        PODS => format!("{amount} Pods"),
        limit => format!("{amount} of {limit}"),
    }
}

#[cfg(test)]
mod tests;
