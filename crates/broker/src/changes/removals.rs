use brokkr_core::AgentId;
use brokkr_core::wire::{Confirmation, ConfirmationAnswer, ConfirmationResult, Confirmations};

use super::targets::confirm;
use crate::error::Result;
use crate::store::agent_targets::{self, OpenTarget};
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
        for Confirmation { stack, revision } in &self.removals {
            let open = agent_targets::between(self.agent, *stack, &mut change.tx).await?;
            let result = match open {
                Some(target @ OpenTarget::Removing(_))
                    if target.removal_revision() == Some(*revision) =>
                {
                    confirm(&target, change).await?;
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
        Ok(Confirmations { removals: answers })
    }
}
