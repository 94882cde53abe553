use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::anchors::Anchors;
use super::expression::{Conditions, Selector};
use super::predicate::{Finding, Predicate, predicates, write_line};
use super::{AgentTraits, StackTraits};
use crate::labels::{Annotations, Labels};

/// Which agents a generator's stacks may reach, whatever their own rules say.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentScope {
    /// Every agent.
    AllAgents,
    /// Those that are selected.
    #[serde(untagged)]
    Selected(AgentSelection),
}

/// Selects agents; all its parts must hold. At least one part says what an agent must have.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Parts", deny_unknown_fields)]
pub struct AgentSelection {
    /// What the agent's labels must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Selector>,
    /// What the agent's annotations must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<Conditions>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    labels: Option<Selector>,
    annotations: Option<Conditions>,
}

/// Why parts select no agents.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidScope {
    /// No parts.
    #[error("the scope is empty: say `labels` or `annotations`, or write \"all_agents\"")]
    Empty,
    /// It would reach what nobody has said anything about yet.
    #[error(
        "the scope only says what an agent must not have, so every new agent would be in it: add something that it must have"
    )]
    OnlyNegative,
}

impl AgentSelection {
    /// Selects by what is given.
    pub fn new(
        labels: Option<Selector>,
        annotations: Option<Conditions>,
    ) -> Result<Self, InvalidScope> {
        let selection = Self {
            labels,
            annotations,
        };
        if selection.predicates().any(Predicate::is_positive) {
            return Ok(selection);
        }
        Err(match selection.predicates().next() {
            None => InvalidScope::Empty,
            Some(_) => InvalidScope::OnlyNegative,
        })
    }

    /// What the agent's labels must be.
    pub const fn labels(&self) -> Option<&Selector> {
        self.labels.as_ref()
    }

    /// What the agent's annotations must be.
    pub const fn annotations(&self) -> Option<&Conditions> {
        self.annotations.as_ref()
    }

    fn predicates(&self) -> impl Iterator<Item = Predicate<'_>> {
        predicates(self.labels(), &[], self.annotations(), &[])
    }
}

impl TryFrom<Parts> for AgentSelection {
    type Error = InvalidScope;

    fn try_from(parts: Parts) -> Result<Self, Self::Error> {
        Self::new(parts.labels, parts.annotations)
    }
}

/// A scope speaks of agents alone.
static NO_LABELS: Labels = Labels::new();
static NO_ANNOTATIONS: Annotations = Annotations::new();
const NO_STACK: StackTraits<'static> = StackTraits {
    labels: &NO_LABELS,
    annotations: &NO_ANNOTATIONS,
};

impl AgentScope {
    fn predicates(&self) -> impl Iterator<Item = Predicate<'_>> {
        let (every_agent, selection) = match self {
            Self::AllAgents => (Some(Predicate::EveryAgent), None),
            Self::Selected(selection) => (None, Some(selection)),
        };
        let selected = selection.into_iter().flat_map(AgentSelection::predicates);
        every_agent.into_iter().chain(selected)
    }

    /// Whether this agent is in it.
    pub fn reaches(&self, labels: &Labels, annotations: &Annotations) -> bool {
        let agent = unreported(labels, annotations);
        self.predicates()
            .all(|predicate| predicate.holds(&agent, &NO_STACK))
    }

    /// What each predicate says of this agent.
    pub fn explain(&self, labels: &Labels, annotations: &Annotations) -> Vec<Finding> {
        let agent = unreported(labels, annotations);
        self.predicates()
            .map(|predicate| predicate.explain(&agent, &NO_STACK))
            .collect()
    }

    /// By what the agents are found that can be in it.
    pub fn anchors(&self) -> Anchors {
        Anchors::narrowest(
            self.predicates()
                .map(|predicate| predicate.anchors(&NO_STACK)),
        )
    }
}

const fn unreported<'a>(labels: &'a Labels, annotations: &'a Annotations) -> AgentTraits<'a> {
    AgentTraits {
        labels,
        annotations,
        facts: None,
    }
}

impl fmt::Display for AgentScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_line(f, self.predicates())
    }
}

/// By hand, because a derived refusal of an untagged form does not say what is wrong.
impl<'de> Deserialize<'de> for AgentScope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scope;

        impl<'de> Visitor<'de> for Scope {
            type Value = AgentScope;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"all_agents\" or an object with `labels`, `annotations` or both")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                match text {
                    "all_agents" => Ok(AgentScope::AllAgents),
                    other => Err(E::invalid_value(Unexpected::Str(other), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                AgentSelection::deserialize(MapAccessDeserializer::new(map))
                    .map(AgentScope::Selected)
            }
        }

        deserializer.deserialize_any(Scope)
    }
}

/// By hand too: the derived description would put the selection into a field.
impl PartialSchema for AgentScope {
    fn schema() -> RefOr<Schema> {
        let all_agents = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("Every agent."))
            .enum_values(Some(["all_agents"]));
        OneOfBuilder::new()
            .description(Some(
                "Which agents a generator's stacks may reach, whatever their own rules say.",
            ))
            .item(all_agents)
            .item(Ref::from_schema_name(AgentSelection::name()))
            .into()
    }
}

impl ToSchema for AgentScope {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((AgentSelection::name().into(), AgentSelection::schema()));
        AgentSelection::schemas(schemas);
    }
}
