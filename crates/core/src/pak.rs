//! Prefixed API keys: `brokkr_<a|g|n>_<id>_<secret><checksum>`.
//!
//! The letter tells a person (and a secret scanner) whose key it is; it grants nothing: role and
//! owner come from the row that the id names. The checksum lets a typing error be refused without a
//! database. The secret has 256 random bits, so a plain SHA-256 of it is safe to store.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_DNSSEC as BASE32;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ambient::Ambient;
use crate::id::KeyId;

/// What a key's owner is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// An operator with every right.
    Admin,
    /// An agent: its own target state and reports.
    Agent,
    /// A generator: its own stacks.
    Generator,
}

impl Role {
    const fn letter(self) -> char {
        match self {
            Self::Agent => 'a',
            Self::Generator => 'g',
            Self::Admin => 'n',
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Admin => "admin",
            Self::Agent => "agent",
            Self::Generator => "generator",
        })
    }
}

/// A whole key. It cannot be printed by accident: `Debug` shows its id only, and there is no `Display`.
#[derive(Clone)]
pub struct Pak {
    id: KeyId,
    text: SecretString,
}

/// The SHA-256 of a key's text, all that the broker stores.
#[derive(Clone, Copy)]
pub struct PakHash([u8; 32]);

/// The text is not a key. One message for every cause: a key is secret, its parts are not to be echoed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a Brokkr key: it was cut, mistyped or belongs to something else")]
pub struct InvalidPak;

const PREFIX: &str = "brokkr_";
const ID_LENGTH: usize = 26;
const SECRET_LENGTH: usize = 52;
const CHECKSUM_LENGTH: usize = 7;
const LENGTH: usize = PREFIX.len() + 2 + ID_LENGTH + 1 + SECRET_LENGTH + CHECKSUM_LENGTH;

impl Pak {
    /// A new key for an owner of this role.
    pub fn generate(role: Role, ambient: &dyn Ambient) -> Self {
        let id = KeyId::generate(ambient);
        let mut secret = [0; 32];
        ambient.fill(&mut secret);
        let mut text = format!(
            "{PREFIX}{}_{}_{}",
            role.letter(),
            BASE32.encode(id.uuid().as_bytes()),
            BASE32.encode(&secret)
        );
        text.push_str(&checksum(&text));
        Self {
            id,
            text: text.into(),
        }
    }

    /// The id by which the key's row is found.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// What to compare with the stored hash.
    pub fn hash(&self) -> PakHash {
        PakHash(Sha256::digest(self.text.expose_secret()).into())
    }

    /// The whole key, for the one answer that shows it and for the `Authorization` header.
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }
}

impl FromStr for Pak {
    type Err = InvalidPak;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != LENGTH || !text.is_ascii() || !text.starts_with(PREFIX) {
            return Err(InvalidPak);
        }
        let (body, sum) = text.split_at(LENGTH - CHECKSUM_LENGTH);
        if checksum(body) != sum {
            return Err(InvalidPak);
        }
        let id = body
            .get(PREFIX.len() + 2..PREFIX.len() + 2 + ID_LENGTH)
            .ok_or(InvalidPak)?;
        let id = BASE32.decode(id.as_bytes()).map_err(|_| InvalidPak)?;
        let id = Uuid::from_slice(&id).map_err(|_| InvalidPak)?;
        Ok(Self {
            id: id.into(),
            text: text.into(),
        })
    }
}

impl fmt::Debug for Pak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pak({}, …)", self.id)
    }
}

impl PakHash {
    /// The bytes as the database keeps them.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for PakHash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl PartialEq for PakHash {
    /// In constant time, so that an answer's delay tells nothing about the hash.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for PakHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PakHash(…)")
    }
}

fn checksum(body: &str) -> String {
    BASE32.encode(&crc32fast::hash(body.as_bytes()).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ambient::System;

    #[test]
    fn a_key_is_found_by_its_id_and_matches_its_hash() {
        for role in [Role::Admin, Role::Agent, Role::Generator] {
            let pak = Pak::generate(role, &System);
            let read: Pak = pak.expose().parse().expect("a generated key is a key");
            assert_eq!(read.id(), pak.id());
            assert!(read.hash() == pak.hash());
            assert!(Pak::generate(role, &System).hash() != pak.hash());
        }
    }

    #[test]
    fn a_key_cannot_be_printed() {
        let pak = Pak::generate(Role::Agent, &System);
        let secret = &pak.expose()[PREFIX.len() + 2 + ID_LENGTH..];
        assert!(!format!("{pak:?} {:?}", pak.hash()).contains(secret));
    }

    proptest! {
        #[test]
        fn any_changed_character_is_refused(position in 0..LENGTH, other in "[a-z0-9_]") {
            let text = Pak::generate(Role::Generator, &System).expose().to_owned();
            let mut changed = text.clone();
            changed.replace_range(position..=position, &other);
            prop_assume!(changed != text);
            prop_assert_eq!(changed.parse::<Pak>().err(), Some(InvalidPak));
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            prop_assert!(text.parse::<Pak>().is_err());
        }
    }
}
