use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use brokkr_client::{Client, EventFilter};
use brokkr_core::id::{AgentTargetId, StackId};
use brokkr_core::wire::{
    Action, AgentEvent, CreateAgentTarget, Outcome, Publish, PublishOptions, Sync, TargetStatus,
};
use brokkr_core::{KeptKind, Reference};

use crate::{Bystanders, Cluster, PATIENCE, eventually};

/// A stack of a story, targeted at the story's agent.
pub struct TestStack {
    pub(crate) admin: Client,
    pub(crate) agent: Reference,
    /// The stack.
    pub id: StackId,
    /// Where its objects live.
    pub namespace: String,
    pub(crate) cluster: Cluster,
    pub(crate) bystanders: Arc<Bystanders>,
}

impl TestStack {
    /// How requests name it.
    pub fn reference(&self) -> Reference {
        Reference::Id(self.id.uuid())
    }

    /// The same stack, as whoever is connected so sees it.
    #[must_use]
    pub fn seen_by(&self, admin: &Client) -> Self {
        Self {
            admin: admin.clone(),
            agent: self.agent.clone(),
            id: self.id,
            namespace: self.namespace.clone(),
            cluster: self.cluster.clone(),
            bystanders: self.bystanders.clone(),
        }
    }

    /// Publishes a snapshot and returns its sequence.
    pub async fn publish(&self, manifests: &str) -> Result<u64> {
        self.publish_allowing(manifests, &[]).await
    }

    /// Publishes a snapshot that may also delete objects of kept kinds. What it drops is agreed to, as at the command
    /// line.
    pub async fn publish_allowing(
        &self,
        manifests: &str,
        allow_delete: &[KeptKind],
    ) -> Result<u64> {
        let options = PublishOptions {
            allow_delete: allow_delete.to_vec(),
            ..Default::default()
        };
        let publish = Publish {
            manifests: manifests.to_owned(),
            options,
        };
        self.bystanders
            .stand_elsewhere(&self.cluster, (self.id, &self.namespace), manifests)
            .await?;
        let plan = self.admin.plan_publish(&self.reference(), &publish).await?;
        let agreed = self.admin.agreeing_to(&plan);
        let published = agreed.publish(&self.reference(), &publish).await?;
        Ok(published.deployment_object.sequence)
    }

    /// Publishes a snapshot and waits until the agent has applied it.
    pub async fn roll_out(&self, manifests: &str) -> Result<()> {
        let sequence = self.publish(manifests).await?;
        self.synced(sequence).await
    }

    /// Waits until the agent has applied a sequence.
    pub async fn synced(&self, sequence: u64) -> Result<()> {
        self.becomes(Sync::Synced, Some(sequence), PATIENCE).await?;
        let place = (self.id, self.namespace.as_str());
        self.bystanders.stand_beside(&self.cluster, place).await
    }

    /// Waits for a state; where `applied` is given, that sequence must be in the cluster too.
    pub async fn becomes(
        &self,
        sync: Sync,
        applied: Option<u64>,
        deadline: Duration,
    ) -> Result<()> {
        eventually(
            &format!("the stack becomes {sync:?} ({applied:?})"),
            deadline,
            async || {
                let status = self.status().await?;
                let as_wanted = applied.is_none() || status.applied == applied;
                ensure!(status.sync == sync && as_wanted, "{status:?}");
                Ok(())
            },
        )
        .await
    }

    /// Its state at the story's agent.
    pub async fn status(&self) -> Result<TargetStatus> {
        let all = self.admin.stack_status(&self.reference()).await?;
        all.into_iter()
            .find(|status| Reference::Id(status.agent.uuid()) == self.agent)
            .context("the stack has no status at this agent")
    }

    /// Targets the story's agent.
    pub async fn target(&self) -> Result<AgentTargetId> {
        let create = CreateAgentTarget {
            agent: self.agent.clone(),
            stack: self.reference(),
        };
        Ok(self.admin.create_agent_target(&create).await?.id)
    }

    /// Ends the target.
    pub async fn untarget(&self) -> Result<()> {
        self.untarget_allowing(&[]).await
    }

    /// Ends the target so that objects of kept kinds go too. It is agreed to, as at the command line.
    pub async fn untarget_allowing(&self, allow_delete: &[KeptKind]) -> Result<()> {
        let targets = self
            .admin
            .agent_targets(Some(&self.reference()), Some(&self.agent))
            .await?;
        let target = targets.first().context("the stack is not targeted")?;
        let plan = self
            .admin
            .plan_delete_agent_target(target.id, None, allow_delete)
            .await?;
        let agreed = self.admin.agreeing_to(&plan);
        Ok(agreed
            .delete_agent_target(target.id, None, allow_delete)
            .await?)
    }

    /// Deletes the stack.
    pub async fn delete(&self) -> Result<()> {
        let plan = self
            .admin
            .plan_delete_stack(&self.reference(), None, &[])
            .await?;
        let agreed = self.admin.agreeing_to(&plan);
        Ok(agreed.delete_stack(&self.reference(), None, &[]).await?)
    }

    /// How many of the agent's removals are not confirmed.
    pub async fn open_removals(&self) -> Result<usize> {
        Ok(self.admin.removals(None, Some(&self.agent)).await?.len())
    }

    /// Waits until the agent has confirmed all its removals.
    pub async fn removal_confirmed(&self) -> Result<()> {
        eventually("the removal is confirmed", PATIENCE, async || {
            let open = self.admin.removals(None, Some(&self.agent)).await?;
            ensure!(open.is_empty(), "open: {open:?}");
            Ok(())
        })
        .await
    }

    /// Whether the stack is targeted at the agent.
    pub async fn is_targeted(&self) -> Result<bool> {
        let targets = self.admin.agent_targets(None, Some(&self.agent)).await?;
        Ok(targets.iter().any(|target| target.stack == self.id))
    }

    /// Waits for an event of this stack with this outcome.
    pub async fn event(&self, action: Action, outcome: Outcome) -> Result<AgentEvent> {
        let what = format!("{action:?} is reported as {outcome:?}");
        self.event_with(&what, |event| {
            event.action == action && event.outcome == outcome
        })
        .await
    }

    /// Waits for an event of this stack, and returns the newest such one.
    pub async fn event_with(
        &self,
        what: &str,
        is_it: impl Fn(&AgentEvent) -> bool,
    ) -> Result<AgentEvent> {
        eventually(what, PATIENCE, async || {
            let filter = EventFilter {
                stack: None,
                agent: Some(self.agent.clone()),
                ..EventFilter::default()
            };
            let events = self.admin.events(&filter, 50).await?;
            let mut events: Vec<_> = events.into_iter().map(|recorded| recorded.event).collect();
            events.retain(|event| event.stack == self.id);
            events
                .iter()
                .find(|event| is_it(event))
                .cloned()
                .with_context(|| format!("{events:#?}"))
        })
        .await
    }
}
