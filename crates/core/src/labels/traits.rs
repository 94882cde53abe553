use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::value::Value;
use super::{InvalidTrait, Key};

/// The most labels, and the most annotations, that an agent or a stack carries.
pub const MAX_ENTRIES: usize = 64;

/// Labels or annotations, ordered by key.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct Traits<V>(BTreeMap<Key, V>);

/// One label or annotation, written `KEY` or `KEY=VALUE`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Pair<V> {
    /// The key.
    pub key: Key,
    /// The value; empty if only the key was written.
    pub value: V,
}

impl<V> Traits<V> {
    /// None yet.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// The value behind a key.
    pub fn get(&self, key: &Key) -> Option<&V> {
        self.0.get(key)
    }

    /// All of them, by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Key, &V)> {
        self.0.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets one and gives back what it was before. Refused if it is one too many.
    pub fn insert(&mut self, key: Key, value: V) -> Result<Option<V>, InvalidTrait> {
        if self.0.len() >= MAX_ENTRIES && !self.0.contains_key(&key) {
            return Err(InvalidTrait::TooMany(key));
        }
        Ok(self.0.insert(key, value))
    }

    /// Takes one away and gives it back.
    pub fn remove(&mut self, key: &Key) -> Option<V> {
        self.0.remove(key)
    }
}

impl<V> Default for Traits<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V: Value> Traits<V> {
    fn insert_written(&mut self, key: &str, value: &str) -> Result<(), InvalidTrait> {
        let Pair { key, value } = Pair::<V>::read(key, value)?;
        if self.0.contains_key(&key) {
            return Err(InvalidTrait::Twice(key));
        }
        self.insert(key, value).map(drop)
    }
}

impl<V: Value> Pair<V> {
    fn read(key: &str, value: &str) -> Result<Self, InvalidTrait> {
        let key: Key = key.parse()?;
        match value.parse() {
            Ok(value) => Ok(Self { key, value }),
            Err(why) => Err(InvalidTrait::Entry {
                key,
                why: Box::new(why),
            }),
        }
    }
}

impl<V: Value> FromStr for Pair<V> {
    type Err = InvalidTrait;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        Self::read(key, value)
    }
}

fn write_pair(f: &mut fmt::Formatter<'_>, key: &Key, value: &str) -> fmt::Result {
    match value {
        "" => write!(f, "{key}"),
        value => write!(f, "{key}={value}"),
    }
}

impl<V: Value> fmt::Display for Pair<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_pair(f, &self.key, self.value.as_ref())
    }
}

/// For people: an annotation's value may hold a comma, so this is not to be read back.
impl<V: Value> fmt::Display for Traits<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (key, value)) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write_pair(f, key, value.as_ref())?;
        }
        Ok(())
    }
}

impl<'de, V: Value> Deserialize<'de> for Traits<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<V>(PhantomData<V>);

        impl<'de, V: Value> Visitor<'de> for Entries<V> {
            type Value = Traits<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with a text for each key")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut traits = Traits::new();
                while let Some(key) = map.next_key::<String>()? {
                    let value: String = map.next_value()?;
                    traits
                        .insert_written(&key, &value)
                        .map_err(A::Error::custom)?;
                }
                Ok(traits)
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}

impl<V: Value> PartialSchema for Traits<V> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some("Keys as Kubernetes writes them, each with its value."))
            .additional_properties(Some(V::schema()))
            .max_properties(Some(MAX_ENTRIES))
            .into()
    }
}

impl<V: Value> ToSchema for Traits<V> {
    fn name() -> Cow<'static, str> {
        V::MAP.into()
    }
}
