use serde::{Deserialize, Serialize};

use super::AgentTraits;
use super::requirement::Test;
use crate::labels::{Key, Value};

/// Whether it is a label or an annotation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TraitKind {
    /// A label.
    Label,
    /// An annotation.
    Annotation,
}

/// Something that an agent carries and a database can look up.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Anchor {
    /// Label or annotation.
    pub kind: TraitKind,
    /// Its key.
    pub key: Key,
    /// Its value; none if any value will do.
    pub value: Option<String>,
}

/// Which agents a rule or scope can reach at all: what it does not cover need not be judged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Anchors {
    /// None, whatever they carry.
    Never,
    /// Perhaps every one.
    Any,
    /// Only those that carry one of these.
    OneOf(Vec<Anchor>),
}

impl Anchors {
    /// What a requirement needs an agent to carry.
    pub(super) fn of(kind: TraitKind, key: &Key, test: &Test) -> Self {
        match test {
            Test::In(values) => {
                let values = values.iter().cloned().map(Some);
                Self::OneOf(values.map(|value| anchor(kind, key, value)).collect())
            }
            test if test.is_positive() => Self::OneOf(vec![anchor(kind, key, None)]),
            _ => Self::Any,
        }
    }

    /// The value that agent and stack must share.
    pub(super) fn equal(kind: TraitKind, key: &Key, value: Option<&impl Value>) -> Self {
        match value {
            Some(value) => Self::OneOf(vec![anchor(kind, key, Some(value.as_ref().to_owned()))]),
            None => Self::Never,
        }
    }

    /// Of conditions that must all hold, the one that most likely leaves the fewest agents.
    pub(super) fn narrowest(all: impl Iterator<Item = Self>) -> Self {
        all.min_by_key(Self::breadth).unwrap_or(Self::Any)
    }

    /// Few values come before many, and those before a key with any value.
    fn breadth(&self) -> usize {
        match self {
            Self::Never => 0,
            Self::OneOf(anchors) if anchors.iter().all(|anchor| anchor.value.is_some()) => {
                anchors.len()
            }
            Self::OneOf(_) => usize::MAX - 1,
            Self::Any => usize::MAX,
        }
    }

    /// Whether this agent would be looked at.
    pub fn covers(&self, agent: &AgentTraits<'_>) -> bool {
        match self {
            Self::Never => false,
            Self::Any => true,
            Self::OneOf(anchors) => anchors.iter().any(|anchor| anchor.is_carried_by(agent)),
        }
    }
}

impl Anchor {
    fn is_carried_by(&self, agent: &AgentTraits<'_>) -> bool {
        let carried = match self.kind {
            TraitKind::Label => agent.labels.get(&self.key).map(AsRef::<str>::as_ref),
            TraitKind::Annotation => agent.annotations.get(&self.key).map(AsRef::<str>::as_ref),
        };
        match &self.value {
            Some(value) => carried == Some(value),
            None => carried.is_some(),
        }
    }
}

fn anchor(kind: TraitKind, key: &Key, value: Option<String>) -> Anchor {
    Anchor {
        kind,
        key: key.clone(),
        value,
    }
}
