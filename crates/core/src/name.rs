//! Names of stacks, agents and generators, and the two ways to refer to one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A name: 1 to 63 of `a-z`, `0-9`, `-` and `.`, beginning and ending with a letter or digit.
///
/// A text in the shape of a UUID is refused, so that a reference is never ambiguous.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, pattern = "^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$", examples("checkout"))]
pub struct Name(String);

/// Why a text is not a name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidName {
    /// Wrong length or characters.
    #[error(
        "`{0}` is not a name: use 1 to 63 of a-z, 0-9, `-` and `.`, beginning and ending with a letter or digit"
    )]
    Form(String),
    /// It reads as an id.
    #[error("`{0}` has the form of an id: choose a name that is not a UUID")]
    LooksLikeId(String),
}

const MAX_LENGTH: usize = 63;

impl Name {
    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = text.as_bytes();
        let ends_well = matches!((bytes.first(), bytes.last()), (Some(&a), Some(&z)) if alphanumeric(a) && alphanumeric(z));
        let inner_well = bytes
            .iter()
            .all(|&b| alphanumeric(b) || b == b'-' || b == b'.');
        if !ends_well || !inner_well || bytes.len() > MAX_LENGTH {
            // The text comes from outside and goes into a message: keep it short.
            return Err(InvalidName::Form(
                text.chars().take(MAX_LENGTH + 1).collect(),
            ));
        }
        if text.parse::<Uuid>().is_ok() {
            return Err(InvalidName::LooksLikeId(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// How a request names a row: by id, by name, or by `owner:name` (an admin names a generator's stack so).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reference {
    /// By id.
    Id(Uuid),
    /// By name, within the owner if one is given.
    Named {
        /// The generator that owns the row.
        owner: Option<Name>,
        /// The row's own name.
        name: Name,
    },
}

impl Reference {
    /// A row's name as one writes it who sees several owners.
    pub fn of(owner: Option<&Name>, name: &Name) -> Self {
        Self::Named {
            owner: owner.cloned(),
            name: name.clone(),
        }
    }
}

impl FromStr for Reference {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        let (owner, name) = match text.split_once(':') {
            Some((owner, name)) => (Some(owner.parse()?), name),
            None => (None, text),
        };
        Ok(Self::Named {
            owner,
            name: name.parse()?,
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Named {
                owner: Some(owner),
                name,
            } => write!(f, "{owner}:{name}"),
            Self::Named { owner: None, name } => name.fmt(f),
        }
    }
}

impl Serialize for Reference {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rule() {
        for good in ["a", "checkout", "eu-1.edge", "0", &"x".repeat(63)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "-a",
            "a-",
            ".a",
            "A",
            "a b",
            "a/b",
            "a:b",
            "ä",
            "..",
            &"x".repeat(64),
        ] {
            assert!(
                matches!(bad.parse::<Name>(), Err(InvalidName::Form(_))),
                "{bad}"
            );
        }
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        assert!(matches!(
            id.parse::<Name>(),
            Err(InvalidName::LooksLikeId(_))
        ));
    }

    #[test]
    fn references_are_never_ambiguous() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        assert!(matches!(id.parse::<Reference>(), Ok(Reference::Id(_))));
        for text in ["checkout", "ci:checkout", id] {
            assert_eq!(
                text.parse::<Reference>().map(|r| r.to_string()),
                Ok(text.to_owned())
            );
        }
        assert!("a:b:c".parse::<Reference>().is_err());
    }
}
