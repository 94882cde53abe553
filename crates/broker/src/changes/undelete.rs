use brokkr_core::StackId;
use brokkr_core::name::Reference;
use brokkr_core::wire::{AuditAction, Stack};

use super::quota;
use super::stacks::named;
use super::targeting::{settle_pair, settle_stack};
use crate::error::Result;
use crate::scope::Scope;
use crate::store::changes::Touched;
use crate::store::{agent_targets, agents, stacks};
use crate::writer::{Change, Mutation};

/// Brings a deleted stack back as it was. Its rules target again. Agents that were named directly run it again
/// if its deletion took it from them and they have not confirmed that yet; to the others it is gone.
pub(crate) struct UndeleteStack {
    pub(crate) scope: Scope,
    pub(crate) stack: StackId,
}

impl Mutation for UndeleteStack {
    type Output = Stack;

    async fn apply(&self, change: &mut Change) -> Result<Stack> {
        let deleted = stacks::find_deleted(self.stack, &self.scope, &mut change.tx).await?;
        let Some(mut row) = deleted else {
            let there = Reference::Id(self.stack.uuid());
            let there = stacks::find(&there, &self.scope, &mut change.tx).await?;
            change.unchanged();
            return Ok(there.stack);
        };
        quota::of_stacks(&self.scope, change).await?;
        let named_directly =
            agent_targets::direct_until_deleted(self.stack, &mut change.tx).await?;
        row.stack.deleted_at = None;
        row.stack.revision = change.revision;
        stacks::undelete(&row.stack, &mut change.tx).await?;
        change.touch(Touched::Stack(self.stack));
        for agent in named_directly {
            let agent = agents::itself(agent, &mut change.tx).await?;
            settle_pair(&agent, &row, true, change).await?;
        }
        settle_stack(&row, change).await?;
        change.audit(
            AuditAction::StackUndelete,
            named(&row.stack),
            None::<&()>,
            Some(&row.stack),
        )?;
        Ok(row.stack)
    }
}
