use brokkr_core::KeptKind;
use brokkr_core::name::Reference;
use brokkr_core::wire::{AuditAction, OnRemove, Workloads};
use serde::Serialize;
use serde_json::json;

use super::agents::traits;
use super::targeting::{end, mark};
use crate::error::{Error, Result};
use crate::extract::IfMatch;
use crate::scope::Scope;
use crate::store::agent_targets::{self, Ending, OpenTarget, State};
use crate::store::agents::{self, AgentRow, named};
use crate::store::changes::Touched;
use crate::store::{anchors, held_facts, stacks, target_status};
use crate::writer::{Change, Mutation};

/// How many stacks a refusal or an audit entry names.
const NAMED: usize = 20;

/// Deletes an agent: lets it finish first, if it has something to run or to remove, or abandons it.
pub(crate) struct DeleteAgent {
    pub(crate) agent: Reference,
    pub(crate) expected: IfMatch,
    pub(crate) workloads: Option<Workloads>,
    pub(crate) force: bool,
}

impl Mutation for DeleteAgent {
    /// The agent, if it has to finish first.
    type Output = Option<AgentRow>;

    async fn apply(&self, change: &mut Change) -> Result<Self::Output> {
        let agent = agents::find(&self.agent, &Scope::All, &mut change.tx).await?;
        self.expected.check(agent.revision)?;
        let open = agent_targets::of_agent(agent.id, &mut change.tx).await?;
        if open.is_empty() {
            retire(&agent, None::<&()>, change).await?;
            return Ok(None);
        }
        if self.force {
            abandon(&agent, open, change).await?;
            return Ok(None);
        }
        match (agent.retiring, self.workloads) {
            (_, None) => Err(undecided(&agent, &open)),
            (None, Some(workloads)) => finish(agent, workloads, open, change).await.map(Some),
            (Some(before), Some(now)) if before == now => {
                change.unchanged();
                Ok(Some(agent))
            }
            (Some(_), Some(_)) => Err(Error::InUse(format!(
                "agent {} is retiring already, in the other way, which is not changed: `brokkr removals list` shows what it still removes",
                agent.name
            ))),
        }
    }
}

/// Ends all targets; the agent takes no new ones from now on.
async fn finish(
    mut agent: AgentRow,
    workloads: Workloads,
    open: Vec<OpenTarget>,
    change: &mut Change,
) -> Result<AgentRow> {
    for target in open.into_iter().filter_map(OpenTarget::active) {
        let policy = match workloads {
            Workloads::Keep => OnRemove::Orphan,
            Workloads::Remove => {
                let stack = Reference::Id(target.stack.uuid());
                let stack = stacks::find(&stack, &Scope::All, &mut change.tx).await?;
                stack.stack.options.on_remove
            }
        };
        end(&target, &ending(policy, change), change).await?;
    }
    let before = traits(&agent);
    agent.retiring = Some(workloads);
    agent.revision = change.revision;
    agents::set_retiring(&agent, &mut change.tx).await?;
    let mut after = before.clone();
    after["retiring"] = json!(workloads);
    let action = AuditAction::AgentRetire;
    change.audit(action, named(&agent), Some(&before), Some(&after))?;
    Ok(agent)
}

/// Gives an agent up: nobody waits for it any more, and its cluster stays as it is.
async fn abandon(agent: &AgentRow, open: Vec<OpenTarget>, change: &mut Change) -> Result<()> {
    let abandoned = stacks_of(&open);
    for target in open {
        let (id, stack) = (target.id(), target.stack());
        if let OpenTarget::Active(target, _) = &target {
            end(target, &ending(OnRemove::Orphan, change), change).await?;
        }
        agent_targets::close(id, State::Withdrawn, change.now, &mut change.tx).await?;
        target_status::forget(agent.id, stack, &mut change.tx).await?;
        mark(agent.id, stack, change).await?;
    }
    retire(agent, Some(&json!({ "abandoned": abandoned })), change).await
}

fn ending(policy: OnRemove, change: &Change) -> Ending {
    Ending {
        policy,
        allow_delete: Vec::<KeptKind>::new(),
        revision: change.revision,
        now: change.now,
    }
}

/// Retires an agent that is through with what it was to remove, by the confirmation of the last of it; says whether
/// it was.
pub(super) async fn retire_if_finished(
    agent: &AgentRow,
    confirmed: &impl Serialize,
    change: &mut Change,
) -> Result<bool> {
    let open = agent_targets::any_of(agent.id, &mut change.tx).await?;
    let is_finished = agent.retiring.is_some() && open.is_none();
    if is_finished {
        retire(agent, Some(confirmed), change).await?;
    }
    Ok(is_finished)
}

/// Its row and its keys stay, so that whoever holds one learns that the agent is no more.
async fn retire(
    agent: &AgentRow,
    after: Option<&impl Serialize>,
    change: &mut Change,
) -> Result<()> {
    anchors::forget_agent(agent.id, &mut change.tx).await?;
    held_facts::forget_agent(agent.id, &mut change.tx).await?;
    agents::delete(agent.id, change.now, &mut change.tx).await?;
    change.touch(Touched::Agent(agent.id));
    let before = traits(agent);
    change.audit(AuditAction::AgentDelete, named(agent), Some(&before), after)
}

fn stacks_of(open: &[OpenTarget]) -> String {
    let name = |open: &OpenTarget| match open {
        OpenTarget::Active(target, _) => {
            Reference::of(target.generator.as_ref(), &target.stack_name).to_string()
        }
        OpenTarget::Removing(removal, _) => {
            let stack = Reference::of(removal.generator.as_ref(), &removal.stack_name);
            format!("{stack} (being removed)")
        }
    };
    let mut names: Vec<_> = open.iter().take(NAMED).map(name).collect();
    if open.len() > NAMED {
        names.push(format!("and {} more", open.len() - NAMED));
    }
    names.join(", ")
}

fn undecided(agent: &AgentRow, open: &[OpenTarget]) -> Error {
    Error::InUse(format!(
        "agent {0} has stacks in its cluster: {1}. Say what becomes of them: `brokkr agent delete {0} --workloads remove` (`workloads=remove`) removes them from its cluster, `--workloads keep` (`workloads=keep`) leaves them there as nobody's; the agent confirms it and is retired then. If the agent or its cluster is gone for good, `--force` (`force=true`) abandons it",
        agent.name,
        stacks_of(open)
    ))
}
