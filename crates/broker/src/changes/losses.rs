//! What becomes of a loss that stands: somebody approves it, or refuses it.

use brokkr_core::name::Reference;
use brokkr_core::wire::{
    AgentTarget, Approval, AuditAction, HeldLoss, LossCause, OnRemove, Removal,
};
use brokkr_core::{AgentTargetId, Digest};
use serde_json::json;

use super::targeting::mark;
use crate::error::{Error, Result};
use crate::scope::Scope;
use crate::store::agent_targets::{self, Decided, OpenTarget};
use crate::store::target_status;
use crate::writer::{Change, Mutation};

/// What is said to a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The objects go.
    Approve,
    /// They stay, and are nobody's from then on.
    Refuse,
}

/// Decides about a removal, or about the loss that an agent holds.
pub(crate) struct DecideLoss {
    pub(crate) scope: Scope,
    pub(crate) target: AgentTargetId,
    pub(crate) verdict: Verdict,
    /// The held loss that was seen, if who decides says one: no other is decided about.
    pub(crate) seen: Option<Digest>,
}

impl Mutation for DecideLoss {
    type Output = ();

    async fn apply(&self, change: &mut Change) -> Result<()> {
        match agent_targets::find(self.target, &self.scope, &mut change.tx).await? {
            OpenTarget::Removing(removal, _) => self.decide_removal(&removal, change).await,
            OpenTarget::Active(target, decided) => {
                let decided = decided.map(|decided| *decided).unwrap_or_default();
                self.decide_held(&target, decided, change).await
            }
        }
    }
}

impl DecideLoss {
    async fn decide_removal(&self, removal: &Removal, change: &mut Change) -> Result<()> {
        let is_decided = match self.verdict {
            Verdict::Approve => removal.approved.is_some(),
            Verdict::Refuse => false,
        };
        // Whoever repeats a decision decides nothing, and may find nothing held any more.
        if self.seen.is_some() && !is_decided && removal.policy != OnRemove::Orphan {
            let cause = removal.revision.map(LossCause::Removal);
            let (agent, stack) = (removal.agent, removal.stack);
            let held = target_status::held(agent, stack, cause, &mut change.tx).await?;
            self.is_as_seen(held.as_ref())?;
        }
        let (agent, stack) = (&removal.agent_name, &removal.stack_name);
        let stack = Reference::of(removal.generator.as_ref(), stack);
        let before = json!({"policy": removal.policy, "approved": removal.approved});
        let after = match self.verdict {
            Verdict::Approve if removal.policy == OnRemove::Orphan => {
                return Err(Error::NothingHeld(format!(
                    "agent {agent} leaves the objects of stack {stack} where they are: there is nothing to approve"
                )));
            }
            Verdict::Approve if removal.approved.is_some() => before.clone(),
            Verdict::Approve => {
                let approval = Approval {
                    by: self.scope.author(),
                    at: change.now,
                    plan: None,
                };
                agent_targets::approve(removal.id, &approval, &mut change.tx).await?;
                json!({"policy": removal.policy, "approved": approval})
            }
            Verdict::Refuse => {
                agent_targets::orphan(removal.id, &mut change.tx).await?;
                json!({"policy": OnRemove::Orphan, "approved": removal.approved})
            }
        };
        mark(removal.agent, removal.stack, change).await?;
        let subject = (removal.id.uuid(), Some(format!("{stack} on {agent}")));
        change.audit(self.action(), subject, Some(&before), Some(&after))
    }

    async fn decide_held(
        &self,
        target: &AgentTarget,
        mut decided: Decided,
        change: &mut Change,
    ) -> Result<()> {
        let stack = Reference::of(target.generator.as_ref(), &target.stack_name);
        let held = target_status::held(target.agent, target.stack, None, &mut change.tx).await?;
        let Some(held) = held else {
            return Err(Error::NothingHeld(format!(
                "agent {} holds no loss of stack {stack}, or none that the newest snapshot causes: `GET /removals` shows what is held",
                target.agent_name
            )));
        };
        self.is_as_seen(Some(&held))?;
        match self.verdict {
            Verdict::Approve => decided.approve(&held.objects),
            Verdict::Refuse => decided.release(&held.objects),
        }
        agent_targets::decide(target.id, &decided, &mut change.tx).await?;
        target_status::forget_held(target.agent, target.stack, &mut change.tx).await?;
        mark(target.agent, target.stack, change).await?;
        let name = format!("{stack} on {}", target.agent_name);
        let after = json!({"cause": held.cause, "objects": held.objects});
        let subject = (target.id.uuid(), Some(name));
        change.audit(self.action(), subject, None::<&()>, Some(&after))
    }

    fn is_as_seen(&self, held: Option<&HeldLoss>) -> Result<()> {
        match self.seen {
            Some(seen) if held.map(HeldLoss::digest) != Some(seen) => Err(Error::LossChanged),
            _ => Ok(()),
        }
    }

    const fn action(&self) -> AuditAction {
        match self.verdict {
            Verdict::Approve => AuditAction::RemovalApprove,
            Verdict::Refuse => AuditAction::RemovalRefuse,
        }
    }
}

/// Ends what was decided about objects that the stack's new head has again.
pub(super) async fn forget_what_is_back(
    stack: brokkr_core::StackId,
    objects: &[brokkr_core::ObjectKey],
    change: &mut Change,
) -> Result<()> {
    for (target, agent, before) in agent_targets::decided(stack, &mut change.tx).await? {
        let decided = before.clone().without(objects);
        if decided != before {
            agent_targets::decide(target, &decided, &mut change.tx).await?;
            mark(agent, stack, change).await?;
        }
    }
    Ok(())
}
