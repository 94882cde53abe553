use brokkr_core::AgentId;
use brokkr_core::wire::{
    AuditAction, Confirmation, ConfirmationAnswer, ConfirmationResult, Confirmations,
};

use serde_json::json;

use super::retire::retire_if_finished;
use super::targets::confirm;
use crate::error::Result;
use crate::store::agent_targets::{self, OpenTarget};
use crate::store::agents;
use crate::writer::{Change, Mutation};

/// An agent's report that removals are done. It closes those that still stand as the agent saw them.
pub(crate) struct ConfirmRemovals {
    pub(crate) agent: AgentId,
    pub(crate) removals: Vec<Confirmation>,
}

impl Mutation for ConfirmRemovals {
    type Output = Confirmations;

    async fn apply(&self, change: &mut Change) -> Result<Confirmations> {
        let mut answers = Vec::with_capacity(self.removals.len());
        let mut closed = Vec::new();
        for Confirmation { stack, revision } in &self.removals {
            let open = agent_targets::between(self.agent, *stack, &mut change.tx).await?;
            let result = match open {
                Some(target @ OpenTarget::Removing(..))
                    if target.removal_revision() == Some(*revision) =>
                {
                    confirm(&target, change).await?;
                    closed.push(json!({"stack": stack, "revision": revision}));
                    ConfirmationResult::Closed
                }
                _ => ConfirmationResult::Superseded,
            };
            answers.push(ConfirmationAnswer {
                stack: *stack,
                revision: *revision,
                result,
            });
        }
        if closed.is_empty() {
            change.unchanged();
        } else {
            let agent = agents::itself(self.agent, &mut change.tx).await?;
            let subject = (agent.id.uuid(), Some(agent.name.to_string()));
            let after = json!({"removed": closed});
            if retire_if_finished(&agent, &after, change).await? {
                return Ok(Confirmations { removals: answers });
            }
            change.audit(
                AuditAction::RemovalConfirm,
                subject,
                None::<&()>,
                Some(&after),
            )?;
        }
        Ok(Confirmations { removals: answers })
    }
}
