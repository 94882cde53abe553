use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::key::is_qualified;
use super::{InvalidTrait, shortened};

/// What stands behind a key: of a label or of an annotation.
pub trait Value: AsRef<str> + FromStr<Err = InvalidTrait> + Serialize + ToSchema {
    /// What a map of such values is called in the API's description.
    const MAP: &'static str;
}

/// The value of a label, as Kubernetes writes it; empty if the label has none.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(
    value_type = String,
    max_length = 63,
    pattern = "^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$",
    examples("prod")
)]
pub struct LabelValue(String);

/// The value of an annotation: a text without line ends and other control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, max_length = 4096, examples("535.104.05"))]
pub struct AnnotationValue(String);

/// The longest value of an annotation, in bytes.
pub(super) const MAX_TEXT: usize = 4096;

impl Value for LabelValue {
    const MAP: &'static str = "Labels";
}

impl Value for AnnotationValue {
    const MAP: &'static str = "Annotations";
}

impl FromStr for LabelValue {
    type Err = InvalidTrait;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_qualified(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidTrait::LabelValue(shortened(text)))
        }
    }
}

impl FromStr for AnnotationValue {
    type Err = InvalidTrait;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_TEXT {
            return Err(InvalidTrait::TooLong(text.len()));
        }
        match text.chars().position(char::is_control) {
            Some(before) => Err(InvalidTrait::ControlCharacter(before + 1)),
            None => Ok(Self(text.to_owned())),
        }
    }
}

macro_rules! text {
    ($($name:ident)+) => {$(
        impl $name {
            /// The value's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?
                    .parse()
                    .map_err(serde::de::Error::custom)
            }
        }
    )+};
}

text!(LabelValue AnnotationValue);
