use brokkr_core::id::KeyId;
use brokkr_core::name::Reference;
use brokkr_core::pak::Role;
use brokkr_core::wire::{CreateKey, CreatedKey, Key, RotateKey, RotatedKey};
use reqwest::Method;

use crate::{Client, Result};

/// Which keys to list; absent fields do not restrict.
#[derive(Clone, Debug, Default)]
pub struct KeyFilter {
    /// Of this agent.
    pub agent: Option<Reference>,
    /// Of this generator.
    pub generator: Option<Reference>,
    /// Of this role.
    pub role: Option<Role>,
}

/// Keys.
impl Client {
    /// The keys that nobody has ended and that the caller may see.
    pub async fn keys(&self, filter: &KeyFilter) -> Result<Vec<Key>> {
        let text = |key, value: Option<String>| value.map(|value| (key, value));
        let query: Vec<_> = [
            text("agent", filter.agent.as_ref().map(ToString::to_string)),
            text(
                "generator",
                filter.generator.as_ref().map(ToString::to_string),
            ),
            text("role", filter.role.map(|role| role.to_string())),
        ]
        .into_iter()
        .flatten()
        .collect();
        self.list(&["keys"], &query).await
    }

    /// One key, whatever has become of it.
    pub async fn key(&self, key: KeyId) -> Result<Key> {
        self.get(&["keys", &key.to_string()]).await
    }

    /// Makes another key; the answer holds it.
    pub async fn create_key(&self, create: &CreateKey) -> Result<CreatedKey> {
        self.post(&["keys"], create).await
    }

    /// Ends a key.
    pub async fn revoke_key(&self, key: KeyId) -> Result<()> {
        self.send(self.request(Method::DELETE, &["keys", &key.to_string()]))
            .await
            .map(drop)
    }

    /// Puts a new key in the place of any; the answer holds it.
    pub async fn rotate_key(&self, key: KeyId, rotate: &RotateKey) -> Result<RotatedKey> {
        self.post(&["keys", &key.to_string(), "rotate"], rotate)
            .await
    }

    /// Puts a new key in the place of the one in use; the answer holds it, and this client keeps the old one.
    pub async fn rotate_own_key(&self, rotate: &RotateKey) -> Result<RotatedKey> {
        self.post(&["me", "rotate"], rotate).await
    }
}
