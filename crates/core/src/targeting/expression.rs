//! Expressions: requirements that must all hold, read from and written as one line of text.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::facts::{Fact, Facts};
use super::parse::{self, InvalidExpression, MAX_TEXT};
use super::requirement::{Found, Requirement};
use crate::labels::{Annotations, Key, Labels, Traits, Value};

/// Chooses by labels, in the language of Kubernetes selectors: `env=prod,tier in (a,b),!gpu`.
pub type Selector = Expression<Labels>;
/// Chooses by annotations: as a selector, and with comparisons and prefixes.
pub type Conditions = Expression<Annotations>;
/// Chooses by facts: `kubernetes.version>=1.33,kinds has cert-manager.io/Certificate`.
pub type FactConditions = Expression<Facts>;

/// Requirements on a subject, all of which must hold; at least one.
///
/// They are kept in order, so that two texts that differ in nothing but order are the same expression.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expression<S: Subject>(Vec<Requirement<S>>);

/// What an expression speaks of.
pub trait Subject {
    /// What its values stand behind.
    type Key: Clone + Ord + fmt::Debug + fmt::Display + FromStr<Err: fmt::Display>;

    /// What an expression on it is called in the API's description.
    const EXPRESSION: &'static str;
    /// What it is for.
    const DESCRIPTION: &'static str;
    /// What one looks like.
    const EXAMPLE: &'static str;

    /// What may be asked of the value behind a key.
    fn sort(key: &Self::Key) -> Sort;

    /// The value behind a key.
    fn find(&self, key: &Self::Key) -> Option<Found<'_>>;
}

/// What may be asked of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sort {
    /// Whether it is one of some.
    Label,
    /// That, how it begins, and how it compares as a number or a version.
    Text,
    /// How it compares as a version.
    Version,
    /// What is in it.
    Set,
}

impl Subject for Labels {
    type Key = Key;

    const EXPRESSION: &'static str = "Selector";
    const DESCRIPTION: &'static str = "Chooses by labels, as Kubernetes does.";
    const EXAMPLE: &'static str = "env=prod,tier in (a,b),!gpu";

    fn sort(_: &Key) -> Sort {
        Sort::Label
    }

    fn find(&self, key: &Key) -> Option<Found<'_>> {
        find(self, key)
    }
}

impl Subject for Annotations {
    type Key = Key;

    const EXPRESSION: &'static str = "Conditions";
    const DESCRIPTION: &'static str =
        "Chooses by annotations: as a selector, and with numbers, versions and prefixes.";
    const EXAMPLE: &'static str = "memory>=64,version(driver)>=535.104,zone startswith eu-";

    fn sort(_: &Key) -> Sort {
        Sort::Text
    }

    fn find(&self, key: &Key) -> Option<Found<'_>> {
        find(self, key)
    }
}

fn find<'a, V: Value>(traits: &'a Traits<V>, key: &Key) -> Option<Found<'a>> {
    traits.get(key).map(|value| Found::Text(value.as_ref()))
}

impl Subject for Facts {
    type Key = Fact;

    const EXPRESSION: &'static str = "FactConditions";
    const DESCRIPTION: &'static str =
        "Chooses by what agents report: `kubernetes.version`, `provider`, `region`, `kinds`.";
    const EXAMPLE: &'static str = "kubernetes.version>=1.33,kinds has cert-manager.io/Certificate";

    fn sort(fact: &Fact) -> Sort {
        match fact {
            Fact::KubernetesVersion => Sort::Version,
            Fact::Provider | Fact::Region => Sort::Text,
            Fact::Kinds => Sort::Set,
        }
    }

    fn find(&self, fact: &Fact) -> Option<Found<'_>> {
        let text = match fact {
            Fact::KubernetesVersion => &self.kubernetes_version,
            Fact::Provider => &self.provider,
            Fact::Region => &self.region,
            Fact::Kinds => return Some(Found::Set(&self.kinds)),
        };
        text.as_deref().map(Found::Text)
    }
}

impl<S: Subject> Expression<S> {
    /// Whether all of it holds.
    pub fn holds(&self, subject: &S) -> bool {
        self.0.iter().all(|requirement| requirement.holds(subject))
    }

    pub(super) fn requirements(&self) -> impl Iterator<Item = &Requirement<S>> {
        self.0.iter()
    }
}

impl<S: Subject + PartialEq> FromStr for Expression<S> {
    type Err = InvalidExpression;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut requirements = parse::requirements(text)?;
        requirements.sort_by(|a, b| (&a.key, &a.test).cmp(&(&b.key, &b.test)));
        requirements.dedup();
        let expression = Self(requirements);
        // The one form can be longer than what was written, and has to be readable too.
        if expression.to_string().len() > MAX_TEXT {
            return Err(InvalidExpression::TooLong);
        }
        Ok(expression)
    }
}

impl<S: Subject> fmt::Display for Expression<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            requirement.fmt(f)?;
        }
        Ok(())
    }
}

impl<S: Subject> Serialize for Expression<S> {
    fn serialize<T: Serializer>(&self, serializer: T) -> Result<T::Ok, T::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, S: Subject + PartialEq> Deserialize<'de> for Expression<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl<S: Subject> PartialSchema for Expression<S> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(S::DESCRIPTION))
            .examples([S::EXAMPLE])
            .max_length(Some(MAX_TEXT))
            .into()
    }
}

impl<S: Subject> ToSchema for Expression<S> {
    fn name() -> Cow<'static, str> {
        S::EXPRESSION.into()
    }
}
