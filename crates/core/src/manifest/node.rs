use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Number, Value};

use super::MAX_OBJECTS;
use super::shape::says_nothing;

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
    /// What tells an object from another, and makes it one.
    Heading,
    /// That of each item, as many as may be objects.
    Headings,
    Metadata,
    /// The names of labels or annotations, and which values are texts.
    Texts,
    /// Itself, if it is no mapping and no sequence.
    Scalar,
    /// Whether it says anything.
    Word,
    Nothing,
}

impl Keep {
    fn of_field(self, name: &str) -> Self {
        match (self, name) {
            (Self::All, _) => Self::All,
            (Self::Heading, "apiVersion" | "kind") => Self::Scalar,
            (Self::Heading, "metadata") => Self::Metadata,
            (Self::Heading, "status") | (Self::Word, _) => Self::Word,
            (Self::Heading, "items") => Self::Headings,
            (Self::Metadata, "name" | "namespace" | "creationTimestamp") | (Self::Texts, _) => {
                Self::Scalar
            }
            (Self::Metadata, "labels" | "annotations") => Self::Texts,
            _ => Self::Nothing,
        }
    }

    const fn of_item(self) -> Self {
        match self {
            Self::All => Self::All,
            Self::Headings => Self::Heading,
            Self::Word => Self::Word,
            _ => Self::Nothing,
        }
    }

    /// Whether fields are kept with their names.
    const fn has_fields(self) -> bool {
        matches!(
            self,
            Self::All | Self::Heading | Self::Metadata | Self::Texts
        )
    }

    /// How many items are kept.
    const fn items(self) -> usize {
        match self {
            Self::All => usize::MAX,
            // One more is refused.
            Self::Headings => MAX_OBJECTS + 1,
            _ => 0,
        }
    }

    fn scalar(self, value: impl Into<Value>) -> Value {
        match self {
            Self::Nothing => Value::Null,
            _ => value.into(),
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
        let mut items = Vec::new();
        let mut says_something = false;
        while let Some(item) = sequence.next_element_seed(self.of_item())? {
            says_something |= self == Self::Word && !says_nothing(&item);
            if items.len() < self.items() {
                items.push(item);
            }
        }
        Ok(if self == Self::Word {
            word(says_something)
        } else {
            items.into()
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Value, A::Error> {
        if self.has_fields() {
            return self.fields(entries).map(Value::Object);
        }
        let says_something = self.look_through(entries)?;
        Ok(if self == Self::Word {
            word(says_something)
        } else {
            Map::new().into()
        })
    }
}

impl Keep {
    fn fields<'de, A: MapAccess<'de>>(
        self,
        mut entries: A,
    ) -> Result<Map<String, Value>, A::Error> {
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

    /// Refuses what [`Keep::fields`] refuses, in less memory. Answers whether a value says anything, if that is asked.
    fn look_through<'de, A: MapAccess<'de>>(self, mut entries: A) -> Result<bool, A::Error> {
        let mut keys = HashSet::new();
        let mut says_something = false;
        while let Some(key) = entries.next_key::<Box<str>>()? {
            let value = entries.next_value_seed(self.of_field(&key))?;
            says_something |= self == Self::Word && !says_nothing(&value);
            if let Some(key) = keys.replace(key) {
                return Err(stands_twice(&key));
            }
        }
        Ok(says_something)
    }
}

/// What stands for all that says something, or nothing.
const fn word(says_something: bool) -> Value {
    if says_something {
        Value::Bool(true)
    } else {
        Value::Null
    }
}

fn stands_twice<E: Error>(key: &str) -> E {
    E::custom(format!("the key {key:?} stands twice: keep one of them"))
}
