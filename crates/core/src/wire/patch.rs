use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::labels::{InvalidTrait, Key, Traits};

/// Changes of labels or annotations: a text sets a key, `null` takes it away (RFC 7396).
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = BTreeMap<String, Option<String>>)]
pub struct PatchTraits<V>(pub BTreeMap<Key, Option<V>>);

impl<V> Default for PatchTraits<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<V: Clone> PatchTraits<V> {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The traits after this patch.
    pub fn applied_to(&self, mut traits: Traits<V>) -> Result<Traits<V>, InvalidTrait> {
        // Taking away comes first: a full set may have one replaced.
        for key in self.0.iter().filter(|(_, value)| value.is_none()) {
            traits.remove(key.0);
        }
        for (key, value) in &self.0 {
            if let Some(value) = value {
                traits.insert(key.clone(), value.clone())?;
            }
        }
        Ok(traits)
    }
}

/// Tells `null` (clear it) from an absent field (leave it).
pub(super) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
