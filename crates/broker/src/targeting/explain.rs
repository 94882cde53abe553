use brokkr_core::targeting::Verdict;
use brokkr_core::wire::{ExplainedExclusion, ExplainedRule, ExplainedScope, Explanation};

use super::{Barrier, barrier, decide};
use crate::store::agents::AgentRow;
use crate::store::held_facts::{HeldFacts, RuleDigest};
use crate::store::stacks::StackRow;

/// Why an agent runs a stack or not, with every predicate that was looked at.
pub(crate) fn explain(
    agent: &AgentRow,
    stack: &StackRow,
    direct: bool,
    held: &HeldFacts,
) -> Explanation {
    let decision = decide(agent, stack, direct, held);
    let (traits, stack_traits) = (agent.traits(), stack.traits());
    let rules = stack.stack.targeting.rules().iter().map(|rule| {
        let verdict = rule.judge(&traits, &stack_traits);
        let facts_held_before = verdict == Verdict::FactsMissing
            && held.contains(stack.stack.id, agent.id, RuleDigest::of(rule));
        ExplainedRule {
            rule: rule.to_string(),
            matches: verdict == Verdict::Matches || facts_held_before,
            facts_held_before,
            findings: rule.explain(&traits, &stack_traits),
        }
    });
    let exclude = stack.stack.targeting.exclude().iter();
    let exclude = exclude.map(|exclusion| ExplainedExclusion {
        exclusion: exclusion.to_string(),
        matches: exclusion.matches(&traits, &stack_traits),
        findings: exclusion.explain(&traits, &stack_traits),
    });
    let scope = stack.scope.as_ref().zip(stack.stack.generator.clone());
    let scope = scope.map(|(scope, generator)| ExplainedScope {
        generator,
        reaches: scope.reaches(&agent.labels, &agent.annotations),
        findings: scope.explain(&agent.labels, &agent.annotations),
    });
    let reason = match (&decision.why, barrier(agent, stack)) {
        (Some(why), _) if why.direct => "it is targeted directly".to_owned(),
        (Some(why), _) => {
            let rule = why.rule.as_deref().unwrap_or_default();
            if why.ineligible {
                format!("a rule matched it while its facts held, and facts never remove: {rule}")
            } else {
                format!("a rule matches it: {rule}")
            }
        }
        (None, Some(Barrier::Retiring)) => "it is retiring, and takes nothing new".to_owned(),
        (None, Some(Barrier::Scope)) => {
            "the scope of the generator that owns the stack does not reach it".to_owned()
        }
        (None, Some(Barrier::Exclusion)) => "an exclusion of the stack matches it".to_owned(),
        (None, None) => {
            "it is not targeted directly, and no rule of the stack matches it".to_owned()
        }
    };
    Explanation {
        agent: agent.id,
        agent_name: agent.name.clone(),
        stack: stack.stack.id,
        stack_name: stack.stack.name.clone(),
        generator: stack.stack.generator.clone(),
        targeted: decision.why.is_some(),
        reason,
        direct,
        rules: rules.collect(),
        exclude: exclude.collect(),
        scope,
    }
}
