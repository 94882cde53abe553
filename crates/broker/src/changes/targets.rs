use brokkr_core::name::Reference;
use brokkr_core::wire::{AgentTarget, OnRemove, Reason};
use brokkr_core::{AgentId, AgentTargetId, KeptKind, StackId};

use crate::error::{Error, Result};
use crate::scope::Scope;
use crate::store::agent_targets::{self, Ending, OpenTarget, State};
use crate::store::changes::Touched;
use crate::store::{agents, stacks, target_status};
use crate::writer::{Change, Mutation};

/// Makes an agent responsible for a stack. A removal that the agent has not confirmed is withdrawn.
pub(crate) struct CreateAgentTarget {
    pub(crate) scope: Scope,
    pub(crate) agent: Reference,
    pub(crate) stack: Reference,
}

impl Mutation for CreateAgentTarget {
    type Output = AgentTarget;

    async fn apply(&self, change: &mut Change) -> Result<AgentTarget> {
        let agent = agents::find(&self.agent, &mut change.tx).await?;
        let stack = stacks::find(&self.stack, &self.scope, &mut change.tx)
            .await?
            .stack;
        match agent_targets::between(agent.id, stack.id, &mut change.tx).await? {
            Some(OpenTarget::Active(target)) => return Ok(target),
            Some(OpenTarget::Removing(removal)) => {
                agent_targets::close(removal.id, State::Withdrawn, change.now, &mut change.tx)
                    .await?;
            }
            None => {}
        }
        let target = AgentTarget {
            id: AgentTargetId::generate(&*change.ambient),
            agent: agent.id,
            agent_name: agent.name,
            stack: stack.id,
            stack_name: stack.name,
            reason: Reason::Direct,
            created_at: change.now,
        };
        agent_targets::insert(&target, &mut change.tx).await?;
        changed(target.agent, target.stack, change).await?;
        Ok(target)
    }
}

/// Ends an agent target: the agent is told to remove the stack.
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
        let OpenTarget::Active(target) = open else {
            return Err(Error::NotFound("agent target"));
        };
        let (agent, stack) = (target.agent, target.stack);
        let options = stacks::find(&Reference::Id(stack.uuid()), &self.scope, &mut change.tx)
            .await?
            .stack
            .options;
        let ending = Ending {
            policy: self.policy.unwrap_or(options.on_remove),
            allow_delete: self.allow_delete.clone(),
            revision: change.revision,
            now: change.now,
        };
        end(self.target, agent, stack, &ending, change).await
    }
}

/// Turns a target into a removal.
pub(super) async fn end(
    target: AgentTargetId,
    agent: AgentId,
    stack: StackId,
    ending: &Ending,
    change: &mut Change,
) -> Result<()> {
    agent_targets::end(target, ending, &mut change.tx).await?;
    changed(agent, stack, change).await
}

/// Closes a removal that the agent confirmed.
pub(super) async fn confirm(target: &OpenTarget, change: &mut Change) -> Result<()> {
    agent_targets::close(target.id(), State::Confirmed, change.now, &mut change.tx).await?;
    target_status::forget(target.agent(), target.stack(), &mut change.tx).await?;
    changed(target.agent(), target.stack(), change).await
}

/// What links an agent to a stack changed, and with it the agent's own state, in this revision. The fleet
/// index relies on both being said together.
async fn changed(agent: AgentId, stack: StackId, change: &mut Change) -> Result<()> {
    agents::mark_changed(agent, change.revision, &mut change.tx).await?;
    change.touch(Touched::Target(agent, stack));
    Ok(())
}
