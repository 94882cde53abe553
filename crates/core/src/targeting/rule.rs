use std::borrow::Cow;
use std::fmt;
use std::ops::Not;

use serde::{Deserialize, Serialize};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::anchors::Anchors;
use super::expression::{Conditions, FactConditions, Selector};
use super::predicate::{Finding, Predicate, predicates, write_line};
use super::{AgentTraits, StackTraits, Verdict};
use crate::labels::Key;

/// The most keys that agent and stack must share, of labels and of annotations each.
pub const MAX_SAME: usize = 16;

/// Reaches agents; all its parts must hold. It has passed the checks of [`InvalidRule`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "RuleParts")]
pub struct Rule(RuleParts);

/// Keeps agents out that rules reach; all its parts must hold.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "ExclusionParts")]
pub struct Exclusion(ExclusionParts);

/// Reaches agents; all its parts must hold.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = Rule)]
pub struct RuleParts {
    /// Every agent, now and later. Only `facts` may stand beside it.
    #[serde(skip_serializing_if = "Not::not")]
    pub every_agent: bool,
    /// What the agent's labels must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Selector>,
    /// Labels whose value must be the stack's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 16)]
    pub same: Vec<Key>,
    /// What the agent's annotations must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Conditions>,
    /// Annotations whose value must be the stack's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 16)]
    pub same_annotations: Vec<Key>,
    /// What the agent must have reported. Never alone: agents do not choose what they run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facts: Option<FactConditions>,
}

/// Keeps agents out that rules reach; all its parts must hold.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = Exclusion)]
pub struct ExclusionParts {
    /// What the agent's labels must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Selector>,
    /// Labels whose value must be the stack's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 16)]
    pub same: Vec<Key>,
    /// What the agent's annotations must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Conditions>,
    /// Annotations whose value must be the stack's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 16)]
    pub same_annotations: Vec<Key>,
}

/// Why parts are no rule or no exclusion.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidRule {
    /// A rule without parts.
    #[error(
        "the rule is empty: say `labels`, `same`, `annotations` or `same_annotations`, or `every_agent` if you mean every agent"
    )]
    Empty,
    /// Every agent, and not every agent.
    #[error(
        "`every_agent` stands alone or with `facts`: take it away, or take `labels`, `same`, `annotations` and `same_annotations` away"
    )]
    EveryAgentAndMore,
    /// Facts are the agent's own word, which may not be all that decides.
    #[error(
        "`facts` alone would let an agent choose what it runs: add `labels`, `same`, `annotations`, `same_annotations` or `every_agent`"
    )]
    FactsAlone,
    /// It would reach what nobody has said anything about yet.
    #[error(
        "the rule only says what an agent must not have, so it would reach every new agent: add something that it must have, or, if you mean every agent, say `every_agent` and make this an exclusion"
    )]
    OnlyNegative,
    /// Too many keys.
    #[error("`same` and `same_annotations` have at most {MAX_SAME} keys each")]
    TooManySame,
    /// An exclusion without parts.
    #[error("the exclusion is empty: say `labels`, `same`, `annotations` or `same_annotations`")]
    EmptyExclusion,
}

impl TryFrom<RuleParts> for Rule {
    type Error = InvalidRule;

    fn try_from(mut parts: RuleParts) -> Result<Self, Self::Error> {
        put_in_order(&mut parts.same)?;
        put_in_order(&mut parts.same_annotations)?;
        let chooses = parts.set_by_admins().next().is_some();
        match (parts.every_agent, chooses, &parts.facts) {
            (true, true, _) => Err(InvalidRule::EveryAgentAndMore),
            (false, false, Some(_)) => Err(InvalidRule::FactsAlone),
            (false, false, None) => Err(InvalidRule::Empty),
            (false, true, _) if !parts.set_by_admins().any(Predicate::is_positive) => {
                Err(InvalidRule::OnlyNegative)
            }
            _ => Ok(Self(parts)),
        }
    }
}

impl TryFrom<ExclusionParts> for Exclusion {
    type Error = InvalidRule;

    fn try_from(mut parts: ExclusionParts) -> Result<Self, Self::Error> {
        put_in_order(&mut parts.same)?;
        put_in_order(&mut parts.same_annotations)?;
        let exclusion = Self(parts);
        if exclusion.predicates().next().is_none() {
            return Err(InvalidRule::EmptyExclusion);
        }
        Ok(exclusion)
    }
}

/// So that two rules that differ in nothing but order are the same rule.
fn put_in_order(keys: &mut Vec<Key>) -> Result<(), InvalidRule> {
    keys.sort();
    keys.dedup();
    if keys.len() > MAX_SAME {
        return Err(InvalidRule::TooManySame);
    }
    Ok(())
}

impl RuleParts {
    fn set_by_admins(&self) -> impl Iterator<Item = Predicate<'_>> {
        predicates(
            self.labels.as_ref(),
            &self.same,
            self.annotations.as_ref(),
            &self.same_annotations,
        )
    }
}

impl Rule {
    /// What it is made of.
    pub const fn parts(&self) -> &RuleParts {
        &self.0
    }

    /// Facts come last: judging relies on it.
    fn predicates(&self) -> impl Iterator<Item = Predicate<'_>> {
        let every_agent = self.0.every_agent.then_some(Predicate::EveryAgent);
        let facts = self.0.facts.iter().flat_map(FactConditions::requirements);
        every_agent
            .into_iter()
            .chain(self.0.set_by_admins())
            .chain(facts.map(Predicate::Facts))
    }

    /// Whether it reaches this agent.
    pub fn judge(&self, agent: &AgentTraits<'_>, stack: &StackTraits<'_>) -> Verdict {
        match self
            .predicates()
            .find(|predicate| !predicate.holds(agent, stack))
        {
            None => Verdict::Matches,
            Some(Predicate::Facts(_)) => Verdict::FactsMissing,
            Some(_) => Verdict::Misses,
        }
    }

    /// What each predicate says of this agent.
    pub fn explain(&self, agent: &AgentTraits<'_>, stack: &StackTraits<'_>) -> Vec<Finding> {
        self.predicates()
            .map(|predicate| predicate.explain(agent, stack))
            .collect()
    }

    /// By what the agents are found that it can reach.
    pub fn anchors(&self, stack: &StackTraits<'_>) -> Anchors {
        Anchors::narrowest(self.predicates().map(|predicate| predicate.anchors(stack)))
    }
}

impl Exclusion {
    /// What it is made of.
    pub const fn parts(&self) -> &ExclusionParts {
        &self.0
    }

    fn predicates(&self) -> impl Iterator<Item = Predicate<'_>> {
        predicates(
            self.0.labels.as_ref(),
            &self.0.same,
            self.0.annotations.as_ref(),
            &self.0.same_annotations,
        )
    }

    /// Whether it keeps this agent out.
    pub fn matches(&self, agent: &AgentTraits<'_>, stack: &StackTraits<'_>) -> bool {
        self.predicates()
            .all(|predicate| predicate.holds(agent, stack))
    }

    /// What each predicate says of this agent.
    pub fn explain(&self, agent: &AgentTraits<'_>, stack: &StackTraits<'_>) -> Vec<Finding> {
        self.predicates()
            .map(|predicate| predicate.explain(agent, stack))
            .collect()
    }
}

/// The identity of a rule: equal for rules that differ in nothing but order.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_line(f, self.predicates())
    }
}

/// The identity of an exclusion: equal for exclusions that differ in nothing but order.
impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_line(f, self.predicates())
    }
}

macro_rules! described_by {
    ($($name:ident: $parts:ident;)+) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                $parts::schema()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                $parts::name()
            }

            fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                $parts::schemas(schemas);
            }
        }
    )+};
}

described_by! {
    Rule: RuleParts;
    Exclusion: ExclusionParts;
}
