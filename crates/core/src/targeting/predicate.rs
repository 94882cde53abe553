//! Predicates: what rules, exclusions and scopes are made of.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::anchors::{Anchors, TraitKind};
use super::expression::{Conditions, Selector};
use super::facts::Facts;
use super::requirement::Requirement;
use super::{AgentTraits, StackTraits};
use crate::labels::{Annotations, Key, Labels, Traits, Value};

/// A part of a rule, an exclusion or a scope.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Every agent.
    EveryAgent,
    /// The agent's labels.
    Labels,
    /// The labels that agent and stack share.
    Same,
    /// The agent's annotations.
    Annotations,
    /// The annotations that agent and stack share.
    SameAnnotations,
    /// What the agent reported.
    Facts,
}

/// What one predicate says of an agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// The part that the predicate belongs to.
    pub part: Part,
    /// The predicate, such as `env=prod`.
    pub predicate: String,
    /// What the agent has; absent if it has nothing there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What the stack has, where both must have the same; absent if it has nothing there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
    /// Whether it holds.
    pub holds: bool,
}

/// The smallest thing that can hold or not.
#[derive(Clone, Copy)]
pub(super) enum Predicate<'a> {
    EveryAgent,
    Labels(&'a Requirement<Labels>),
    Same(&'a Key),
    Annotations(&'a Requirement<Annotations>),
    SameAnnotations(&'a Key),
    Facts(&'a Requirement<Facts>),
}

/// The predicates on what admins set, of whatever has such parts.
pub(super) fn predicates<'a>(
    labels: Option<&'a Selector>,
    same: &'a [Key],
    annotations: Option<&'a Conditions>,
    same_annotations: &'a [Key],
) -> impl Iterator<Item = Predicate<'a>> {
    let labels = labels.into_iter().flat_map(Selector::requirements);
    let annotations = annotations.into_iter().flat_map(Conditions::requirements);
    labels
        .map(Predicate::Labels)
        .chain(same.iter().map(Predicate::Same))
        .chain(annotations.map(Predicate::Annotations))
        .chain(same_annotations.iter().map(Predicate::SameAnnotations))
}

impl Predicate<'_> {
    pub(super) fn holds(self, agent: &AgentTraits<'_>, stack: &StackTraits<'_>) -> bool {
        match self {
            Self::EveryAgent => true,
            Self::Labels(requirement) => requirement.holds(agent.labels),
            Self::Same(key) => are_same(key, agent.labels, stack.labels),
            Self::Annotations(requirement) => requirement.holds(agent.annotations),
            Self::SameAnnotations(key) => are_same(key, agent.annotations, stack.annotations),
            Self::Facts(requirement) => agent.facts.is_some_and(|facts| requirement.holds(facts)),
        }
    }

    /// Whether an agent that carries nothing is out of its reach.
    pub(super) const fn is_positive(self) -> bool {
        match self {
            Self::EveryAgent => false,
            Self::Labels(requirement) => requirement.test.is_positive(),
            Self::Annotations(requirement) => requirement.test.is_positive(),
            Self::Same(_) | Self::SameAnnotations(_) | Self::Facts(_) => true,
        }
    }

    pub(super) const fn part(self) -> Part {
        match self {
            Self::EveryAgent => Part::EveryAgent,
            Self::Labels(_) => Part::Labels,
            Self::Same(_) => Part::Same,
            Self::Annotations(_) => Part::Annotations,
            Self::SameAnnotations(_) => Part::SameAnnotations,
            Self::Facts(_) => Part::Facts,
        }
    }

    pub(super) fn explain(self, agent: &AgentTraits<'_>, stack: &StackTraits<'_>) -> Finding {
        let (found, wanted) = match self {
            Self::EveryAgent => (None, None),
            Self::Labels(requirement) => (requirement.found(agent.labels), None),
            Self::Same(key) => (shown(agent.labels, key), shown(stack.labels, key)),
            Self::Annotations(requirement) => (requirement.found(agent.annotations), None),
            Self::SameAnnotations(key) => {
                (shown(agent.annotations, key), shown(stack.annotations, key))
            }
            Self::Facts(requirement) => match agent.facts {
                Some(facts) => (requirement.found(facts), None),
                None => (Some("nothing reported yet".to_owned()), None),
            },
        };
        Finding {
            part: self.part(),
            predicate: self.to_string(),
            found,
            wanted,
            holds: self.holds(agent, stack),
        }
    }

    /// By what the agents for which it can hold are found.
    pub(super) fn anchors(self, stack: &StackTraits<'_>) -> Anchors {
        match self {
            Self::EveryAgent | Self::Facts(_) => Anchors::Any,
            Self::Labels(requirement) => {
                Anchors::of(TraitKind::Label, &requirement.key, &requirement.test)
            }
            Self::Annotations(requirement) => {
                Anchors::of(TraitKind::Annotation, &requirement.key, &requirement.test)
            }
            Self::Same(key) => Anchors::equal(TraitKind::Label, key, stack.labels.get(key)),
            Self::SameAnnotations(key) => {
                Anchors::equal(TraitKind::Annotation, key, stack.annotations.get(key))
            }
        }
    }
}

/// What one side lacks is never the same.
fn are_same<V: PartialEq>(key: &Key, agent: &Traits<V>, stack: &Traits<V>) -> bool {
    agent
        .get(key)
        .is_some_and(|value| stack.get(key) == Some(value))
}

fn shown<V: Value>(traits: &Traits<V>, key: &Key) -> Option<String> {
    traits.get(key).map(|value| value.as_ref().to_owned())
}

impl fmt::Display for Predicate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EveryAgent => Ok(()),
            Self::Labels(requirement) => requirement.fmt(f),
            Self::Annotations(requirement) => requirement.fmt(f),
            Self::Facts(requirement) => requirement.fmt(f),
            Self::Same(key) | Self::SameAnnotations(key) => key.fmt(f),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EveryAgent => "every agent",
            Self::Labels => "labels",
            Self::Same => "same",
            Self::Annotations => "annotations",
            Self::SameAnnotations => "same annotations",
            Self::Facts => "facts",
        })
    }
}

/// One line: `labels env=prod,!gpu; same region`.
pub(super) fn write_line<'a>(
    f: &mut fmt::Formatter<'_>,
    predicates: impl Iterator<Item = Predicate<'a>>,
) -> fmt::Result {
    let mut last = None;
    for predicate in predicates {
        let part = predicate.part();
        match last.replace(part) {
            Some(last) if last == part => f.write_str(",")?,
            Some(_) => write!(f, "; {part} ")?,
            None if part == Part::EveryAgent => write!(f, "{part}")?,
            None => write!(f, "{part} ")?,
        }
        write!(f, "{predicate}")?;
    }
    Ok(())
}
