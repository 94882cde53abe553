//! Derives agent targets, inside the change that may have moved them: after it, exactly those are open that
//! [`crate::targeting`] decides for. The revision row, taken first, lets no two changes miss each other.

use std::collections::HashMap;

use brokkr_core::wire::{AgentTarget, Effect, OnRemove, PlannedTarget};
use brokkr_core::{AgentTargetId, KeptKind};

use crate::error::Result;
use crate::store::agent_targets::{self, Ending, OpenTarget, State};
use crate::store::agents::{self, AgentRow};
use crate::store::anchors;
use crate::store::changes::Touched;
use crate::store::held_facts::{self, HeldFacts};
use crate::store::stacks::{self, StackRow};
use crate::targeting::{Why, decide};
use crate::writer::Change;

/// After an agent's labels, annotations or facts changed.
pub(super) async fn settle_agent(agent: &AgentRow, change: &mut Change) -> Result<()> {
    let held = held_facts::of_agent(agent.id, &mut change.tx).await?;
    let open = agent_targets::of_agent(agent.id, &mut change.tx).await?;
    let open: HashMap<_, _> = by(open, OpenTarget::stack);
    for stack in stacks::that_may_concern(agent.id, &mut change.tx).await? {
        let open = open.get(&stack.stack.id);
        settle(agent, &stack, is_direct(open), open, &held, change).await?;
    }
    Ok(())
}

/// After a stack's labels, annotations, targeting or the scope of its owner changed.
pub(super) async fn settle_stack(stack: &StackRow, change: &mut Change) -> Result<()> {
    let rules = stack.stack.targeting.rules().iter();
    let rules: Vec<_> = rules.map(|rule| rule.anchors(&stack.traits())).collect();
    anchors::set_stack(stack.stack.id, rules.into_iter(), &mut change.tx).await?;
    let held = held_facts::of_stack(stack.stack.id, &mut change.tx).await?;
    let open = agent_targets::of_stack(stack.stack.id, &mut change.tx).await?;
    let open: HashMap<_, _> = by(open, OpenTarget::agent);
    for agent in agents::that_may_run(stack.stack.id, &mut change.tx).await? {
        let open = open.get(&agent.id);
        settle(&agent, stack, is_direct(open), open, &held, change).await?;
    }
    Ok(())
}

/// After somebody named an agent and a stack, or took that back.
pub(super) async fn settle_pair(
    agent: &AgentRow,
    stack: &StackRow,
    direct: bool,
    change: &mut Change,
) -> Result<()> {
    let held = held_facts::of_agent(agent.id, &mut change.tx).await?;
    let open = agent_targets::between(agent.id, stack.stack.id, &mut change.tx).await?;
    settle(agent, stack, direct, open.as_ref(), &held, change).await
}

async fn settle(
    agent: &AgentRow,
    stack: &StackRow,
    direct: bool,
    open: Option<&OpenTarget>,
    held: &HeldFacts,
    change: &mut Change,
) -> Result<()> {
    let decision = decide(agent, stack, direct, held);
    for rule in decision.facts_hold {
        held_facts::insert(stack.stack.id, agent.id, rule, &mut change.tx).await?;
    }
    match (open, decision.why) {
        (Some(OpenTarget::Active(target, _)), Some(why)) => explain_anew(target, why, change).await,
        (Some(OpenTarget::Active(target, _)), None) => {
            let ending = Ending {
                policy: stack.stack.options.on_remove,
                allow_delete: Vec::<KeptKind>::new(),
                revision: change.revision,
                now: change.now,
            };
            end(target, &ending, change).await
        }
        (open, Some(why)) => {
            if let Some(OpenTarget::Removing(removal, _)) = open {
                let (id, now) = (removal.id, change.now);
                agent_targets::close(id, State::Withdrawn, now, &mut change.tx).await?;
            }
            begin(agent, stack, why, change).await
        }
        (_, None) => Ok(()),
    }
}

async fn begin(agent: &AgentRow, stack: &StackRow, why: Why, change: &mut Change) -> Result<()> {
    let target = AgentTarget {
        id: AgentTargetId::generate(&*change.ambient),
        agent: agent.id,
        agent_name: agent.name.clone(),
        stack: stack.stack.id,
        stack_name: stack.stack.name.clone(),
        generator: stack.stack.generator.clone(),
        direct: why.direct,
        rule: why.rule,
        ineligible: why.ineligible,
        created_at: change.now,
    };
    agent_targets::insert(&target, &mut change.tx).await?;
    changed(&target, Effect::Reach, None, change).await
}

async fn explain_anew(target: &AgentTarget, why: Why, change: &mut Change) -> Result<()> {
    let anew = AgentTarget {
        direct: why.direct,
        rule: why.rule,
        ineligible: why.ineligible,
        ..target.clone()
    };
    // Most changes leave most reasons as they are.
    if anew == *target {
        return Ok(());
    }
    agent_targets::set_reason(&anew, &mut change.tx).await
}

/// Turns a target into a removal.
pub(super) async fn end(target: &AgentTarget, ending: &Ending, change: &mut Change) -> Result<()> {
    let approval = change.approval.as_ref();
    agent_targets::end(target.id, ending, approval, &mut change.tx).await?;
    change.planning.deletes(&ending.allow_delete);
    changed(target, Effect::Leave, Some(ending.policy), change).await
}

async fn changed(
    target: &AgentTarget,
    effect: Effect,
    policy: Option<OnRemove>,
    change: &mut Change,
) -> Result<()> {
    change.planning.note(PlannedTarget {
        agent: target.agent,
        agent_name: target.agent_name.clone(),
        stack: target.stack,
        stack_name: target.stack_name.clone(),
        generator: target.generator.clone(),
        effect,
        policy,
    });
    mark(target.agent, target.stack, change).await
}

/// What links an agent to a stack changed, and with it the agent's own state, in this revision. The fleet
/// index relies on both being said together.
pub(super) async fn mark(
    agent: brokkr_core::AgentId,
    stack: brokkr_core::StackId,
    change: &mut Change,
) -> Result<()> {
    agents::mark_changed(agent, change.revision, &mut change.tx).await?;
    change.touch(Touched::Target(agent, stack));
    Ok(())
}

fn is_direct(open: Option<&OpenTarget>) -> bool {
    matches!(open, Some(OpenTarget::Active(target, _)) if target.direct)
}

fn by<K: std::hash::Hash + Eq>(
    open: Vec<OpenTarget>,
    key: impl Fn(&OpenTarget) -> K,
) -> HashMap<K, OpenTarget> {
    open.into_iter().map(|open| (key(&open), open)).collect()
}
