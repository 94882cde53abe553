//! Keeps what was applied last, while nothing new may be brought.

use std::sync::Arc;

use brokkr_core::plan::Judge;
use brokkr_core::wire::TargetStack;

use super::{Attempt, Reconciler, Stack};
use crate::Error;
use crate::apply;
use crate::cluster::Cluster;
use crate::drift;
use crate::inventory::Inventory;
use crate::plan;
use crate::validate::Snapshot;

impl Reconciler {
    /// The deployment object that was last applied whole, as an entry to keep it by; none if there is none on record.
    pub async fn applied(
        &self,
        stack: &mut Stack,
        head: &TargetStack,
    ) -> Result<Option<TargetStack>, Error> {
        let inventory = self.take(stack).await?;
        let applied = inventory.applied.as_ref();
        let entry = applied.and_then(|applied| applied.entry(head));
        self.give_back(stack, inventory);
        Ok(entry)
    }

    /// Puts back what others changed or deleted of the deployment object that was applied last. Nothing else is written
    /// and nothing is deleted: what a newer one has already changed, before it had to wait, stays so.
    pub async fn repair(&self, stack: &mut Stack, entry: &TargetStack, text: &Arc<str>) -> Attempt {
        let cluster = &self.cluster_for(stack, entry.service_account.as_ref());
        self.try_repair(cluster, stack, entry, text)
            .await
            .unwrap_or_else(|error| Attempt::error(&error))
            .in_trouble(cluster.is_in_trouble())
    }

    async fn try_repair(
        &self,
        cluster: &Cluster,
        stack: &mut Stack,
        entry: &TargetStack,
        text: &Arc<str>,
    ) -> Result<Attempt, Error> {
        let mut inventory = self.take(stack).await?;
        let attempt = match self.read(cluster, entry, text).await? {
            Ok(snapshot) => {
                self.put_back(cluster, entry, &snapshot, &mut inventory)
                    .await?
            }
            Err(unfit) => Attempt::failed(unfit.objects).missing(unfit.missing),
        };
        self.give_back(stack, inventory);
        Ok(attempt)
    }

    async fn put_back(
        &self,
        cluster: &Cluster,
        entry: &TargetStack,
        snapshot: &Snapshot,
        inventory: &mut Inventory,
    ) -> Result<Attempt, Error> {
        let label = entry.stack.to_string();
        let judge = Judge::new(&label, inventory.memory);
        let mut plan = plan::make(cluster, judge, snapshot, inventory).await?;
        plan.only_repair();
        if !entry.drift.is_repaired() {
            drift::leave(cluster, &mut plan).await;
            let attempt = Attempt::done(Vec::new());
            return Ok(match drift::left(&plan) {
                Some(drift) => attempt.held(&drift),
                None => attempt,
            });
        }
        if let Some(refusal) = self.validate(cluster, &mut plan, judge).await {
            return Ok(refusal);
        }
        inventory.expect(&plan);
        self.records.save(inventory).await?;
        let applied = apply::apply(cluster, judge, &plan, inventory).await?;
        self.records.save(inventory).await?;
        Ok(if applied.is_stopped {
            Attempt::done(applied.objects).stopped()
        } else if applied.is_well {
            Attempt::done(applied.objects).repairing()
        } else {
            Attempt::failed(applied.objects)
        })
    }
}
