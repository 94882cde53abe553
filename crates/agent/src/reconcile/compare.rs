//! What would be changed, said and not done.

use std::collections::HashSet;
use std::sync::Arc;

use brokkr_core::ObjectKey;
use brokkr_core::plan::{Judge, Ownership, Verdict};
use brokkr_core::wire::TargetStack;

use super::{Reconciler, Stack};
use crate::Error;
use crate::inventory::Inventory;
use crate::plan::{self, Plan, Step};
use crate::validate::Snapshot;

/// So many objects are named.
const NAMED: usize = 3;

impl Reconciler {
    /// Says how the cluster differs from a deployment object. Nothing is written, not even tried.
    pub async fn compare(
        &self,
        stack: &mut Stack,
        entry: &TargetStack,
        text: &Arc<str>,
    ) -> Result<String, Error> {
        let cluster = &self.cluster_for(stack, entry.service_account.as_ref());
        let inventory = self.take(stack).await?;
        let differences = match &self.read(cluster, entry, text).await? {
            Ok(snapshot) => {
                let label = entry.stack.to_string();
                let judge = Judge::new(&label, inventory.memory).adopting(entry.adopt);
                let plan = plan::make(cluster, judge, snapshot, &inventory).await?;
                differences(&plan, snapshot, &inventory)
            }
            Err(unfit) => {
                let refused = unfit.objects.iter();
                refused.map(|o| format!("{} (invalid)", o.object)).collect()
            }
        };
        self.give_back(stack, inventory);
        Ok(told(&differences, entry.sequence))
    }
}

fn differences(plan: &Plan<'_>, snapshot: &Snapshot, inventory: &Inventory) -> Vec<String> {
    let mut differences: Vec<_> = plan
        .steps()
        .filter_map(|step| {
            let what = difference(step, inventory.get(&step.object.key))?;
            Some((&step.object.key, what))
        })
        .collect();
    let wanted: HashSet<&ObjectKey> = snapshot.objects.iter().map(|o| &o.key).collect();
    let dropped = inventory.entries().keys();
    let dropped = dropped.filter(|key| !wanted.contains(key));
    differences.extend(dropped.map(|key| (key, "no longer wanted")));
    differences.sort_unstable();
    differences
        .into_iter()
        .map(|(key, what)| format!("{key} ({what})"))
        .collect()
}

/// In what an object is not as it is wanted, if it is not.
fn difference(step: &Step<'_>, ownership: Option<&Ownership>) -> Option<&'static str> {
    match &step.verdict {
        Verdict::Leave => None,
        Verdict::Create if matches!(ownership, Some(Ownership::Owned { .. })) => Some("deleted"),
        Verdict::Create => Some("not applied yet"),
        Verdict::Update(_) if step.was_written_so() => Some("edited"),
        Verdict::Update(_) | Verdict::Remake(_) => Some("of another version"),
        Verdict::Adopt(_) | Verdict::Conflict { .. } => Some("somebody else's"),
        Verdict::Await { .. } => Some("being deleted"),
    }
}

fn told(differences: &[String], sequence: u64) -> String {
    let mut named: Vec<_> = differences.iter().take(NAMED).cloned().collect();
    match differences.len() - named.len() {
        0 => {}
        more => named.push(format!("and {more} more")),
    }
    let named = named.join(", ");
    match differences.len() {
        0 => format!("the cluster has version {sequence}"),
        1 => format!("1 object differs from version {sequence}: {named}"),
        all => format!("{all} objects differ from version {sequence}: {named}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_differences_are_named_and_all_are_counted() {
        let all: Vec<_> = ["a", "b", "c", "d", "e"].map(str::to_owned).into();
        assert_eq!(told(&[], 7), "the cluster has version 7");
        assert_eq!(told(&all[..1], 7), "1 object differs from version 7: a");
        let many = "5 objects differ from version 7: a, b, c, and 2 more";
        assert_eq!(told(&all, 7), many);
    }
}
