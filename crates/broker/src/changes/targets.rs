use anyhow::anyhow;
use brokkr_core::name::Reference;
use brokkr_core::wire::{AgentTarget, AuditAction, CreateAgentTarget, OnRemove};
use brokkr_core::{AgentTargetId, KeptKind};
use serde_json::{Value, json};
use uuid::Uuid;

use super::targeting::{end, mark, settle_pair};
use crate::error::{Error, Result};
use crate::idempotency::Repeatable;
use crate::scope::Scope;
use crate::store::agent_targets::{self, Ending, OpenTarget, State};
use crate::store::agents::{self, AgentRow};
use crate::store::stacks::{self, StackRow};
use crate::store::target_status;
use crate::targeting::{Barrier, barrier};
use crate::writer::{Change, Mutation};

/// Makes an agent responsible for a stack. A removal that the agent has not confirmed is withdrawn.
pub(crate) struct TargetDirectly {
    pub(crate) scope: Scope,
    pub(crate) create: CreateAgentTarget,
}

impl Mutation for TargetDirectly {
    type Output = AgentTarget;

    async fn apply(&self, change: &mut Change) -> Result<AgentTarget> {
        let CreateAgentTarget { agent, stack } = &self.create;
        let agent = agents::find(agent, &self.scope, &mut change.tx).await?;
        let stack = stacks::find(stack, &self.scope, &mut change.tx).await?;
        if let Some(barrier) = barrier(&agent, &stack) {
            return Err(refusal(barrier, &agent, &stack));
        }
        let before = agent_targets::between(agent.id, stack.stack.id, &mut change.tx).await?;
        let before = before.and_then(OpenTarget::active);
        settle_pair(&agent, &stack, true, change).await?;
        let open = agent_targets::between(agent.id, stack.stack.id, &mut change.tx).await?;
        let target = open.and_then(OpenTarget::active);
        let target =
            target.ok_or_else(|| Error::internal(anyhow!("a direct target is not open")))?;
        let action = AuditAction::TargetCreate;
        change.audit(action, subject(&target), before.as_ref(), Some(&target))?;
        Ok(target)
    }
}

fn refusal(barrier: Barrier, agent: &AgentRow, stack: &StackRow) -> Error {
    let (agent, name) = (&agent.name, &stack.stack.name);
    let why = match barrier {
        Barrier::Retiring => {
            format!("agent {agent} is retiring, and takes nothing new: choose another")
        }
        Barrier::Scope => format!(
            "agent {agent} is outside the scope of the generator that owns stack {name}: widen the scope first"
        ),
        Barrier::Exclusion => format!(
            "an exclusion of stack {name} matches agent {agent}: change the exclusion first"
        ),
    };
    Error::invalid("/agent", why)
}

/// Takes back that an agent was named: it is told to remove the stack.
pub(crate) struct EndAgentTarget {
    pub(crate) scope: Scope,
    pub(crate) target: AgentTargetId,
    pub(crate) policy: Option<OnRemove>,
    pub(crate) allow_delete: Vec<KeptKind>,
}

impl Mutation for EndAgentTarget {
    type Output = ();

    async fn apply(&self, change: &mut Change) -> Result<()> {
        let open = agent_targets::find(self.target, &self.scope, &mut change.tx).await?;
        let OpenTarget::Active(target, _) = open else {
            return Err(Error::NotFound("agent target"));
        };
        let stack = Reference::Id(target.stack.uuid());
        let stack = stacks::find(&stack, &self.scope, &mut change.tx).await?;
        if let Some(rule) = &target.rule {
            if !target.direct {
                return Err(Error::InUse(format!(
                    "a rule of stack {} targets agent {}, `{rule}`: change the rule or the agent's labels, or exclude the agent",
                    target.stack_name, target.agent_name
                )));
            }
            let agent = agents::itself(target.agent, &mut change.tx).await?;
            settle_pair(&agent, &stack, false, change).await?;
            let after = agent_targets::find(self.target, &self.scope, &mut change.tx).await?;
            let after = after.active();
            let subject = subject(&target);
            return change.audit(
                AuditAction::TargetEnd,
                subject,
                Some(&target),
                after.as_ref(),
            );
        }
        let ending = Ending {
            policy: self.policy.unwrap_or(stack.stack.options.on_remove),
            allow_delete: self.allow_delete.clone(),
            revision: change.revision,
            now: change.now,
        };
        end(&target, &ending, change).await?;
        let subject = subject(&target);
        change.audit(AuditAction::TargetEnd, subject, Some(&target), None::<&()>)
    }
}

fn subject(target: &AgentTarget) -> (Uuid, Option<String>) {
    let stack = Reference::of(target.generator.as_ref(), &target.stack_name);
    let name = format!("{stack} on {}", target.agent_name);
    (target.id.uuid(), Some(name))
}

/// Closes a removal that the agent confirmed.
pub(super) async fn confirm(target: &OpenTarget, change: &mut Change) -> Result<()> {
    agent_targets::close(target.id(), State::Confirmed, change.now, &mut change.tx).await?;
    target_status::forget(target.agent(), target.stack(), &mut change.tx).await?;
    mark(target.agent(), target.stack(), change).await
}

impl Repeatable for TargetDirectly {
    const KIND: &'static str = "create agent target";

    fn asked(&self) -> Result<Value> {
        Ok(json!(self.create))
    }

    fn made(target: &AgentTarget) -> Option<Uuid> {
        Some(target.id.uuid())
    }

    async fn again(&self, made: Uuid, change: &mut Change) -> Result<AgentTarget> {
        let open = agent_targets::find(made.into(), &self.scope, &mut change.tx).await?;
        open.active().ok_or(Error::NotFound("agent target"))
    }
}
