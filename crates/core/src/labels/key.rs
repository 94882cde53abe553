use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::{InvalidTrait, shortened};

/// The key of a label or annotation, as Kubernetes writes it: `env`, `example.com/tier`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(
    as = LabelKey,
    value_type = String,
    max_length = 317,
    pattern = "^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$",
    examples("env", "example.com/tier")
)]
pub struct Key(String);

const MAX_NAME: usize = 63;
const MAX_PREFIX: usize = 253;

impl Key {
    /// The key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Key {
    type Err = InvalidTrait;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (prefix, name) = match text.split_once('/') {
            Some((prefix, name)) => (Some(prefix), name),
            None => (None, text),
        };
        if !name.is_empty() && is_qualified(name) && prefix.is_none_or(is_dns_subdomain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidTrait::Key(shortened(text)))
        }
    }
}

/// The form that the name of a key and the value of a label share; the empty text has it too.
pub(super) fn is_qualified(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= MAX_NAME
        && bytes.first().is_none_or(u8::is_ascii_alphanumeric)
        && bytes.last().is_none_or(u8::is_ascii_alphanumeric)
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

/// Whether it could be a DNS name inside a domain, such as the group of an API.
pub(crate) fn is_dns_subdomain(text: &str) -> bool {
    let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        matches!((bytes.first(), bytes.last()), (Some(&a), Some(&z)) if lower(a) && lower(z))
            && bytes.iter().all(|&b| lower(b) || b == b'-')
    };
    text.len() <= MAX_PREFIX && text.split('.').all(is_label)
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
