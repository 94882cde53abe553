use std::fmt::Display;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rule::{Exclusion, Rule};

/// The most rules of a stack.
pub const MAX_RULES: usize = 32;
/// The most exclusions of a stack.
pub const MAX_EXCLUSIONS: usize = 32;

/// Which agents run a stack, beside those that are targeted directly: any that a rule reaches and no
/// exclusion keeps out.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Parts", deny_unknown_fields)]
pub struct Targeting {
    /// Each reaches agents by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 32, required = false)]
    rules: Vec<Rule>,
    /// Each keeps agents out by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 32, required = false)]
    exclude: Vec<Exclusion>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Parts {
    rules: Vec<Rule>,
    exclude: Vec<Exclusion>,
}

/// Why rules and exclusions do not go together.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidTargeting {
    /// Too many rules.
    #[error("a stack has at most {MAX_RULES} rules, these are {0}")]
    TooManyRules(usize),
    /// Too many exclusions.
    #[error("a stack has at most {MAX_EXCLUSIONS} exclusions, these are {0}")]
    TooManyExclusions(usize),
    /// Said twice.
    #[error("this is there twice, take one away: {0}")]
    Twice(String),
}

impl Targeting {
    /// Puts rules and exclusions together.
    pub fn new(rules: Vec<Rule>, exclude: Vec<Exclusion>) -> Result<Self, InvalidTargeting> {
        if rules.len() > MAX_RULES {
            return Err(InvalidTargeting::TooManyRules(rules.len()));
        }
        if exclude.len() > MAX_EXCLUSIONS {
            return Err(InvalidTargeting::TooManyExclusions(exclude.len()));
        }
        none_twice(&rules)?;
        none_twice(&exclude)?;
        Ok(Self { rules, exclude })
    }

    /// Each reaches agents by itself.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Each keeps agents out by itself.
    pub fn exclude(&self) -> &[Exclusion] {
        &self.exclude
    }

    /// Whether nothing is said: then only direct targets run the stack.
    pub const fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.exclude.is_empty()
    }
}

fn none_twice<T: PartialEq + Display>(all: &[T]) -> Result<(), InvalidTargeting> {
    for (index, one) in all.iter().enumerate() {
        if all[..index].contains(one) {
            return Err(InvalidTargeting::Twice(one.to_string()));
        }
    }
    Ok(())
}

impl TryFrom<Parts> for Targeting {
    type Error = InvalidTargeting;

    fn try_from(parts: Parts) -> Result<Self, Self::Error> {
        Self::new(parts.rules, parts.exclude)
    }
}
