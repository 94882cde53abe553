//! One requirement of an expression: a key, and what is asked of the value behind it.

use std::collections::BTreeSet;
use std::fmt;

use super::expression::{Sort, Subject};
use super::measure::{Comparison, Scale};
use super::parse::is_word;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Requirement<S: Subject> {
    pub(super) key: S::Key,
    pub(super) test: Test,
}

/// What is asked. One value is a set of one, so that `a=b` and `a in (b)` are the same.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Test {
    Exists,
    Missing,
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
    Measure(Scale, Comparison, String),
    StartsWith(String),
    Has(String),
}

/// What stands behind a key.
#[derive(Clone, Copy, Debug)]
pub enum Found<'a> {
    /// One value.
    Text(&'a str),
    /// Several.
    Set(&'a BTreeSet<String>),
}

impl<S: Subject> Requirement<S> {
    pub(super) fn holds(&self, subject: &S) -> bool {
        self.test.holds(subject.find(&self.key))
    }

    /// What is there, short enough to be shown.
    pub(super) fn found(&self, subject: &S) -> Option<String> {
        Some(match subject.find(&self.key)? {
            Found::Text(text) => text.to_owned(),
            Found::Set(set) if self.holds(subject) => {
                format!("{} {}, this one too", set.len(), self.key)
            }
            Found::Set(set) => format!("{} {}, not this one", set.len(), self.key),
        })
    }
}

impl Test {
    /// As in Kubernetes, what is missing is also not one of the values.
    fn holds(&self, found: Option<Found<'_>>) -> bool {
        match (self, found) {
            (Self::Exists, found) => found.is_some(),
            (Self::Missing, found) => found.is_none(),
            (Self::NotIn(_), None) => true,
            (Self::NotIn(values), Some(Found::Text(text))) => !values.contains(text),
            (Self::In(values), Some(Found::Text(text))) => values.contains(text),
            (Self::Measure(scale, comparison, operand), Some(Found::Text(text))) => scale
                .compare(text, operand)
                .is_some_and(|ordering| comparison.holds(ordering)),
            (Self::StartsWith(prefix), Some(Found::Text(text))) => text.starts_with(prefix),
            (Self::Has(member), Some(Found::Set(set))) => set.contains(member),
            _ => false,
        }
    }

    /// Whether it asks for something to be there. What does not, holds for whoever carries nothing.
    pub(super) const fn is_positive(&self) -> bool {
        !matches!(self, Self::Missing | Self::NotIn(_))
    }
}

impl<S: Subject> fmt::Display for Requirement<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        match &self.test {
            Test::Exists => write!(f, "{key}"),
            Test::Missing => write!(f, "!{key}"),
            Test::In(values) => match only(values) {
                Some(value) => write!(f, "{key}={}", Written(value)),
                None => write!(f, "{key} in {}", List(values)),
            },
            Test::NotIn(values) => match only(values) {
                Some(value) => write!(f, "{key}!={}", Written(value)),
                None => write!(f, "{key} notin {}", List(values)),
            },
            Test::Measure(Scale::Version, comparison, operand) if S::sort(key) != Sort::Version => {
                write!(f, "version({key}){comparison}{operand}")
            }
            Test::Measure(_, comparison, operand) => write!(f, "{key}{comparison}{operand}"),
            Test::StartsWith(prefix) => write!(f, "{key} startswith {}", Written(prefix)),
            Test::Has(member) => write!(f, "{key} has {}", Written(member)),
        }
    }
}

fn only(values: &BTreeSet<String>) -> Option<&String> {
    values.first().filter(|_| values.len() == 1)
}

/// A value as it is read back: quoted if it has to be.
struct Written<'a>(&'a str);

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.chars().all(is_word) {
            return f.write_str(self.0);
        }
        f.write_str("\"")?;
        for part in self.0.split_inclusive(['"', '\\']) {
            match part.strip_suffix(['"', '\\']) {
                Some(plain) => write!(f, "{plain}\\{}", &part[plain.len()..])?,
                None => f.write_str(part)?,
            }
        }
        f.write_str("\"")
    }
}

struct List<'a>(&'a BTreeSet<String>);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, value) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { "(" } else { "," })?;
            Written(value).fmt(f)?;
        }
        f.write_str(")")
    }
}
