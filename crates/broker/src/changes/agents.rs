use brokkr_core::name::Reference;
use brokkr_core::pak::{Pak, Role};
use brokkr_core::{AgentId, Name};

use super::keys;
use crate::error::{Error, Result};
use crate::store::agent_targets;
use crate::store::agents::{self, AgentRow};
use crate::store::changes::Touched;
use crate::writer::{Change, Mutation};

/// Registers an agent and gives it a key.
pub(crate) struct CreateAgent {
    pub(crate) name: Name,
}

impl Mutation for CreateAgent {
    type Output = (AgentRow, Pak);

    async fn apply(&self, change: &mut Change) -> Result<Self::Output> {
        let agent = AgentRow {
            id: AgentId::generate(&*change.ambient),
            name: self.name.clone(),
            created_at: change.now,
            changed_revision: change.revision,
            heartbeat: None,
        };
        agents::insert(&agent, &mut change.tx).await?;
        let pak = keys::issue(Role::Agent, agent.id.uuid(), change).await?;
        change.touch(Touched::Agent(agent.id));
        Ok((agent, pak))
    }
}

/// Deletes an agent that has nothing left to run or to remove.
pub(crate) struct DeleteAgent {
    pub(crate) agent: Reference,
}

impl Mutation for DeleteAgent {
    type Output = ();

    async fn apply(&self, change: &mut Change) -> Result<()> {
        let agent = agents::find(&self.agent, &mut change.tx).await?;
        if let Some(target) = agent_targets::any_of(agent.id, &mut change.tx).await? {
            return Err(in_use(&agent, &target));
        }
        keys::revoke_all_of(agent.id.uuid(), change).await?;
        agents::delete(agent.id, change.now, &mut change.tx).await?;
        change.touch(Touched::Agent(agent.id));
        Ok(())
    }
}

fn in_use(agent: &AgentRow, target: &agent_targets::OpenTarget) -> Error {
    Error::InUse(match target {
        agent_targets::OpenTarget::Active(target) => format!(
            "agent {} still runs stack {}: untarget it and let the agent remove it first",
            agent.name, target.stack_name
        ),
        agent_targets::OpenTarget::Removing(removal) => format!(
            "agent {} has not confirmed yet that it removed stack {}: let it finish first",
            agent.name, removal.stack_name
        ),
    })
}
