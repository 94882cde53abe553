//! Whole numbers with a least and a greatest value.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::schema::Type;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A whole number from `LEAST` to `GREATEST`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct Bounded<const LEAST: u32, const GREATEST: u32>(u32);

/// Why something is no such number.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("write a whole number from {least} to {greatest}")]
pub struct OutOfBounds {
    least: u32,
    greatest: u32,
}

impl<const LEAST: u32, const GREATEST: u32> Bounded<LEAST, GREATEST> {
    /// The number, if it lies within the bounds.
    pub const fn new(number: u64) -> Result<Self, OutOfBounds> {
        if number < LEAST as u64 || number > GREATEST as u64 {
            return Err(Self::out());
        }
        #[expect(clippy::cast_possible_truncation, reason = "the greatest one fits")]
        let number = number as u32;
        Ok(Self(number))
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }

    const fn out() -> OutOfBounds {
        OutOfBounds {
            least: LEAST,
            greatest: GREATEST,
        }
    }
}

impl<const LEAST: u32, const GREATEST: u32> FromStr for Bounded<LEAST, GREATEST> {
    type Err = OutOfBounds;

    fn from_str(text: &str) -> Result<Self, OutOfBounds> {
        text.parse().map_err(|_| Self::out()).and_then(Self::new)
    }
}

impl<const LEAST: u32, const GREATEST: u32> fmt::Display for Bounded<LEAST, GREATEST> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de, const LEAST: u32, const GREATEST: u32> Deserialize<'de> for Bounded<LEAST, GREATEST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        u64::try_from(number)
            .map_err(|_| Self::out())
            .and_then(Self::new)
            .map_err(serde::de::Error::custom)
    }
}

impl<const LEAST: u32, const GREATEST: u32> PartialSchema for Bounded<LEAST, GREATEST> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(LEAST))
            .maximum(Some(GREATEST))
            .into()
    }
}

/// Numbers of other bounds are another schema.
impl<const LEAST: u32, const GREATEST: u32> ToSchema for Bounded<LEAST, GREATEST> {
    fn name() -> Cow<'static, str> {
        Cow::Owned(format!("From{LEAST}To{GREATEST}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Few = Bounded<2, 5>;

    #[test]
    fn only_what_lies_within_is_taken() {
        for (text, number) in [("2", Some(2)), ("5", Some(5)), ("1", None), ("6", None)] {
            assert_eq!(text.parse::<Few>().ok().map(Few::get), number, "{text}");
            let read = serde_json::from_str::<Few>(text).ok();
            assert_eq!(read.map(Few::get), number, "{text}");
        }
        for wrong in ["-3", "2.5", "\"3\"", "null", "99999999999"] {
            assert!(serde_json::from_str::<Few>(wrong).is_err(), "{wrong}");
            assert!(wrong.parse::<Few>().is_err(), "{wrong}");
        }
        let why = serde_json::from_str::<Few>("-3").map(drop);
        let why = why.map_err(|error| error.to_string());
        assert_eq!(why, Err("write a whole number from 2 to 5".to_owned()));
    }
}
