//! Targeting: which agents run a stack, judged from what both sides carry.
//!
//! A [`Rule`] reaches agents, an [`Exclusion`] keeps them out, an [`AgentScope`] bounds what a
//! generator may reach. All are made of [predicates](Finding), each of which says by itself whether it
//! holds, what it found, and by what a database finds the agents for which it can hold. Judging,
//! explaining and indexing go over the same predicates, so they cannot disagree.

mod anchors;
mod expression;
mod facts;
mod measure;
mod parse;
mod predicate;
mod requirement;
mod rule;
mod scope;
#[cfg(test)]
mod tests;
mod whole;

use crate::labels::{Annotations, Labels};

pub use anchors::{Anchor, Anchors, TraitKind};
pub use expression::{Conditions, Expression, FactConditions, Selector};
pub use facts::{Fact, Facts, InvalidFacts, MAX_FACT, MAX_KIND, MAX_KINDS};
pub use parse::{InvalidExpression, MAX_REQUIREMENTS, MAX_TEXT, MAX_VALUES};
pub use predicate::{Finding, Part};
pub use rule::{Exclusion, ExclusionParts, InvalidRule, MAX_SAME, Rule, RuleParts};
pub use scope::{AgentScope, AgentSelection, InvalidScope};
pub use whole::{InvalidTargeting, MAX_EXCLUSIONS, MAX_RULES, Targeting};

/// What an agent is judged by.
#[derive(Clone, Copy, Debug)]
pub struct AgentTraits<'a> {
    /// The labels that an admin gave it.
    pub labels: &'a Labels,
    /// The annotations that an admin gave it.
    pub annotations: &'a Annotations,
    /// What it reported. None if it has not reported yet: then no fact holds, not even `provider!=x`.
    pub facts: Option<&'a Facts>,
}

/// What `same` compares an agent with.
#[derive(Clone, Copy, Debug)]
pub struct StackTraits<'a> {
    /// The stack's labels.
    pub labels: &'a Labels,
    /// The stack's annotations.
    pub annotations: &'a Annotations,
}

/// What a rule says of an agent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    /// All of it holds.
    Matches,
    /// All but facts holds.
    FactsMissing,
    /// Something that an admin set does not hold.
    Misses,
}
