use brokkr_core::AgentId;
use brokkr_core::name::Reference;
use brokkr_core::pak::{Pak, Role};
use brokkr_core::targeting::Facts;
use brokkr_core::wire::{AuditAction, CreateAgent, PatchAgent, TargetWindow};
use serde_json::{Value, json};
use uuid::Uuid;

use super::keys;
use super::targeting::settle_agent;
use crate::error::{Error, Result};
use crate::extract::IfMatch;
use crate::idempotency::Repeatable;
use crate::scope::Scope;
use crate::store::agents::{self, AgentRow, named};
use crate::store::changes::Touched;
use crate::store::sessions::Bond;
use crate::store::{anchors, windows};
use crate::writer::{Change, Mutation, SMALL};

/// Registers an agent and gives it a key.
impl Mutation for CreateAgent {
    type Output = (AgentRow, Pak);

    async fn apply(&self, change: &mut Change) -> Result<Self::Output> {
        let agent = AgentRow {
            id: AgentId::generate(&*change.ambient),
            name: self.name.clone(),
            revision: change.revision,
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
            paused: false,
            retiring: None,
            facts: None,
            created_at: change.now,
            heartbeat: None,
            bond: Bond::default(),
        };
        agents::insert(&agent, &mut change.tx).await?;
        let pak = keys::issue(Role::Agent, agent.id.uuid(), change).await?;
        change.touch(Touched::Agent(agent.id));
        anchors::set_agent(&agent, &mut change.tx).await?;
        settle_agent(&agent, change).await?;
        let after =
            json!({"labels": &agent.labels, "annotations": &agent.annotations, "key": pak.id()});
        change.audit(
            AuditAction::AgentCreate,
            named(&agent),
            None::<&()>,
            Some(&after),
        )?;
        Ok((agent, pak))
    }
}

/// Changes an agent's labels and annotations, and with them what it runs; or whether it changes anything.
pub(crate) struct ChangeAgent {
    pub(crate) agent: Reference,
    pub(crate) expected: IfMatch,
    pub(crate) patch: PatchAgent,
}

impl Mutation for ChangeAgent {
    type Output = AgentRow;

    async fn apply(&self, change: &mut Change) -> Result<AgentRow> {
        let mut agent = agents::find(&self.agent, &Scope::All, &mut change.tx).await?;
        self.expected.check(agent.revision)?;
        let before = traits(&agent);
        let windows = windows_of(&agent, change).await?;
        let PatchAgent {
            labels,
            annotations,
            paused,
        } = &self.patch;
        let labels = labels.applied_to(agent.labels);
        agent.labels = labels.map_err(|why| Error::invalid("/labels", why.to_string()))?;
        let annotations = annotations.applied_to(agent.annotations);
        agent.annotations =
            annotations.map_err(|why| Error::invalid("/annotations", why.to_string()))?;
        let was_paused = agent.paused;
        agent.paused = paused.unwrap_or(was_paused);
        if traits(&agent) == before {
            change.unchanged();
            return Ok(agent);
        }
        agent.revision = change.revision;
        agents::update(&agent, &mut change.tx).await?;
        if agent.paused != was_paused || windows_of(&agent, change).await? != windows {
            agents::mark_changed(agent.id, change.revision, &mut change.tx).await?;
        }
        change.touch(Touched::Agent(agent.id));
        anchors::set_agent(&agent, &mut change.tx).await?;
        settle_agent(&agent, change).await?;
        let after = traits(&agent);
        change.audit(
            AuditAction::AgentChange,
            named(&agent),
            Some(&before),
            Some(&after),
        )?;
        Ok(agent)
    }
}

async fn windows_of(agent: &AgentRow, change: &mut Change) -> Result<Vec<TargetWindow>> {
    windows::covering(agent.id, &agent.labels, &agent.annotations, &mut change.tx).await
}

/// Takes down what an agent reports of its cluster. New facts may admit it to rules.
pub(crate) struct ReportFacts {
    pub(crate) agent: AgentId,
    pub(crate) facts: Facts,
}

impl Mutation for ReportFacts {
    type Output = ();

    fn weight(&self) -> usize {
        let kinds = self.facts.kinds.iter().map(|kind| kind.len() + 64);
        SMALL + kinds.sum::<usize>()
    }

    async fn apply(&self, change: &mut Change) -> Result<()> {
        let mut agent = agents::itself(self.agent, &mut change.tx).await?;
        let before = agent.facts.replace(self.facts.clone());
        agents::set_facts(agent.id, &self.facts, &mut change.tx).await?;
        change.touch(Touched::Agent(agent.id));
        settle_agent(&agent, change).await?;
        let before = before.unwrap_or_default();
        let (before, after) = (
            differing(&before, &self.facts),
            differing(&self.facts, &before),
        );
        change.audit(
            AuditAction::AgentFacts,
            named(&agent),
            Some(&before),
            Some(&after),
        )
    }
}

pub(super) fn traits(agent: &AgentRow) -> Value {
    json!({"labels": &agent.labels, "annotations": &agent.annotations, "paused": agent.paused})
}

/// Facts without the kinds that others have too: an audit of all kinds at every change would be long.
fn differing(facts: &Facts, others: &Facts) -> Facts {
    Facts {
        kinds: facts.kinds.difference(&others.kinds).cloned().collect(),
        ..facts.clone()
    }
}

/// Its answer shows a key, which is shown once.
impl Repeatable for CreateAgent {
    const KIND: &'static str = "create agent";

    fn asked(&self) -> Result<Value> {
        Ok(json!(self))
    }

    fn made((agent, _): &Self::Output) -> Option<Uuid> {
        Some(agent.id.uuid())
    }

    async fn again(&self, made: Uuid, _: &mut Change) -> Result<Self::Output> {
        Err(Error::AlreadyDone(made))
    }
}
