//! Which agents run which stacks: a pure function of both sides, decided here and nowhere else.

mod explain;

use brokkr_core::targeting::Verdict;

pub(crate) use explain::explain;

use crate::store::agents::AgentRow;
use crate::store::held_facts::{HeldFacts, RuleDigest};
use crate::store::stacks::StackRow;

/// Why an agent runs a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Why {
    /// Somebody named both.
    pub(crate) direct: bool,
    /// A rule that matches, as a text.
    pub(crate) rule: Option<String>,
    /// The rule matches only because its facts once held.
    pub(crate) ineligible: bool,
}

/// What is decided of an agent and a stack.
#[derive(Debug, Clone)]
pub(crate) struct Decision {
    /// None if the agent does not run the stack.
    pub(crate) why: Option<Why>,
    /// Rules whose facts hold for the agent, and count as held from now on.
    pub(crate) facts_hold: Vec<RuleDigest>,
}

/// What keeps an agent out of a stack whatever its rules say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Barrier {
    /// The agent is retiring.
    Retiring,
    /// The owner's scope does not reach the agent.
    Scope,
    /// An exclusion of the stack matches the agent.
    Exclusion,
}

/// What keeps the agent out, if something does.
pub(crate) fn barrier(agent: &AgentRow, stack: &StackRow) -> Option<Barrier> {
    if agent.retiring.is_some() {
        return Some(Barrier::Retiring);
    }
    let scope = stack.scope.as_ref();
    if scope.is_some_and(|scope| !scope.reaches(&agent.labels, &agent.annotations)) {
        return Some(Barrier::Scope);
    }
    let (agent, traits) = (agent.traits(), stack.traits());
    let mut exclusions = stack.stack.targeting.exclude().iter();
    exclusions
        .any(|exclusion| exclusion.matches(&agent, &traits))
        .then_some(Barrier::Exclusion)
}

/// Whether an agent runs a stack, and why: directly or by a rule, inside the owner's scope, unless excluded.
pub(crate) fn decide(
    agent: &AgentRow,
    stack: &StackRow,
    direct: bool,
    held: &HeldFacts,
) -> Decision {
    let (mut matching, mut ineligible) = (None, None);
    let mut facts_hold = Vec::new();
    for rule in stack.stack.targeting.rules() {
        match rule.judge(&agent.traits(), &stack.traits()) {
            Verdict::Matches => {
                if rule.parts().facts.is_some() {
                    facts_hold.push(RuleDigest::of(rule));
                }
                matching.get_or_insert(rule);
            }
            Verdict::FactsMissing => {
                if held.contains(stack.stack.id, agent.id, RuleDigest::of(rule)) {
                    ineligible.get_or_insert(rule);
                }
            }
            Verdict::Misses => {}
        }
    }
    let why = Why {
        direct,
        rule: matching.or(ineligible).map(ToString::to_string),
        ineligible: !direct && matching.is_none() && ineligible.is_some(),
    };
    let targeted = (why.direct || why.rule.is_some()) && barrier(agent, stack).is_none();
    Decision {
        why: targeted.then_some(why),
        facts_hold,
    }
}
