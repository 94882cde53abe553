use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Number, Value};

/// A value of a document, read so that nothing is lost: keys become texts, and where two become the same one
/// (`1` and `'1'`), the parser has seen two. If not the whole of it is wanted, it is read like that all the same, and what tells no
/// object from another is left out.
pub(super) struct Node<const WHOLE: bool>(pub Value);

impl<'de, const WHOLE: bool> Deserialize<'de> for Node<WHOLE> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let keep = if WHOLE { Keep::All } else { Keep::Heading };
        keep.deserialize(deserializer).map(Self)
    }
}

/// What is kept of a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    All,
    /// What tells an object from another.
    Heading,
    /// That of each item.
    Headings,
    Nothing,
}

impl Keep {
    fn of_field(self, name: &str) -> Self {
        match (self, name) {
            (Self::All, _) | (Self::Heading, "apiVersion" | "kind" | "metadata" | "status") => {
                Self::All
            }
            (Self::Heading, "items") => Self::Headings,
            _ => Self::Nothing,
        }
    }

    const fn of_item(self) -> Self {
        match self {
            Self::All => Self::All,
            Self::Headings => Self::Heading,
            Self::Heading | Self::Nothing => Self::Nothing,
        }
    }

    fn scalar(self, value: impl Into<Value>) -> Value {
        match self {
            Self::Nothing => Value::Null,
            Self::All | Self::Heading | Self::Headings => value.into(),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Keep {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keep {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(self.scalar(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(self.scalar(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(self.scalar(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value);
        let number = number.ok_or_else(|| E::custom("the number is not finite"))?;
        Ok(self.scalar(number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(self.scalar(value))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(self.scalar(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let keep = self.of_item();
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(keep)? {
            if keep != Self::Nothing {
                items.push(item);
            }
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Value, A::Error> {
        if self == Self::Nothing {
            return look_through(entries).map(|()| Value::Null);
        }
        self.map(entries).map(Value::Object)
    }
}

impl Keep {
    fn map<'de, A: MapAccess<'de>>(self, mut entries: A) -> Result<Map<String, Value>, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self.of_field(&key))?;
            if map.contains_key(&key) {
                return Err(stands_twice(&key));
            }
            map.insert(key, value);
        }
        Ok(map)
    }
}

/// Refuses what [`Keep::map`] refuses, in less memory.
fn look_through<'de, A: MapAccess<'de>>(mut entries: A) -> Result<(), A::Error> {
    let mut keys = HashSet::new();
    while let Some(key) = entries.next_key::<Box<str>>()? {
        entries.next_value_seed(Keep::Nothing)?;
        if let Some(key) = keys.replace(key) {
            return Err(stands_twice(&key));
        }
    }
    Ok(())
}

fn stands_twice<E: Error>(key: &str) -> E {
    E::custom(format!("the key {key:?} stands twice: keep one of them"))
}
