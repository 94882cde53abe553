use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::id::KeyId;
use crate::name::{Name, Reference};
use crate::pak::Role;

/// A key without what it opens with: neither the key nor its hash is ever shown.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// What its owner is.
    pub role: Role,
    /// The agent's or generator's id; absent for an admin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Uuid>,
    /// The agent's or generator's name; absent for an admin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_name: Option<Name>,
    /// What it was called when it was made. A rotation keeps the name, so it is not unique.
    pub name: Name,
    /// What it is at present.
    pub state: KeyState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends unless something happens before; absent if never, or if it was ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// How many seconds each key in its place lasts, if it was made with `expires_in`: a rotation begins them anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
    /// When it was used last, up to half a minute behind; absent if never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
    /// The key in whose place a rotation put it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<KeyId>,
    /// When it was ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

/// What a key is at present.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// It opens.
    Good,
    /// A rotation made it, and it was not used yet: it opens, and ends after a day unless it is used.
    Unused,
    /// A rotation put another one in its place: it opens until `ends_at`.
    Replaced,
    /// Its time is over.
    Expired,
    /// Somebody ended it, or the first use of the key in its place did.
    Revoked,
}

/// Makes another key for somebody.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    /// Whose it is: `"admin"`, `{"agent": …}` or `{"generator": …}`, by id or name.
    #[serde(rename = "for")]
    pub owner: KeyOwner,
    /// What to call it.
    pub name: Name,
    /// It ends so many seconds from now; a rotation begins them anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
    /// It ends then, and so does every key that a rotation puts in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// Whose a key is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyOwner {
    /// An operator.
    Admin,
    /// This agent.
    #[schema(value_type = String)]
    Agent(Reference),
    /// This generator.
    #[schema(value_type = String)]
    Generator(Reference),
}

/// A new key, which is shown this once.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CreatedKey {
    /// What is known of it.
    pub key: Key,
    /// The key itself; the broker keeps only a hash of it.
    pub pak: String,
}

/// Puts a new key in the place of another.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateKey {
    /// The old key ends so many seconds from now, whether or not the new one was used. Without it, the old one
    /// ends when the new one is used first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<u64>,
}

/// A new key in the place of another. It is shown this once.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RotatedKey {
    /// What is known of the new one.
    pub key: Key,
    /// The new key itself; the broker keeps only a hash of it.
    pub pak: String,
    /// The old one.
    pub old: Key,
}
