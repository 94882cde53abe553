//! Prefixed API keys: `brokkr_<a|g|n>_<id>_<secret><checksum>`.
//!
//! The letter tells a person (and a secret scanner) whose key it is; it grants nothing: role and
//! owner come from the row that the id names. The checksum lets a typing error be refused without a
//! database. The secret has 256 random bits, so a plain SHA-256 of it is safe to store.

use std::collections::HashSet;
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
    const ALL: [Self; 3] = [Self::Admin, Self::Agent, Self::Generator];

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
const SECRET_START: usize = PREFIX.len() + 2 + ID_LENGTH + 1;
const LENGTH: usize = SECRET_START + SECRET_LENGTH + CHECKSUM_LENGTH;
/// Of 52 random characters of 32, some 26 differ.
const LEAST_DIFFERENT: usize = 11;
/// A repetition leaves at least twelve characters that were there before.
const LONGEST_PERIOD: usize = SECRET_LENGTH - 12;

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

    /// Whose key its letter says it is. It grants nothing: the row that the id names decides.
    pub fn labelled(&self) -> Option<Role> {
        let letter = self.expose().chars().nth(PREFIX.len())?;
        Role::ALL.into_iter().find(|role| role.letter() == letter)
    }

    /// Whether the secret was typed rather than drawn: a repetition, a run of the alphabet, few different
    /// characters. One that the system's generator makes is taken for such less often than once in 10⁹.
    pub fn looks_made_up(&self) -> bool {
        let secret = &self.expose().as_bytes()[SECRET_START..SECRET_START + SECRET_LENGTH];
        let steps = secret.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]));
        let repeats =
            (1..=LONGEST_PERIOD).any(|period| secret[period..] == secret[..SECRET_LENGTH - period]);
        repeats
            || different(secret.iter().copied()) < LEAST_DIFFERENT
            || different(steps) < LEAST_DIFFERENT
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
        let pak = Self {
            id: id.into(),
            text: text.into(),
        };
        // The parts are where they belong.
        let bytes = body.as_bytes();
        let is_parted = bytes[PREFIX.len() + 1] == b'_' && bytes[SECRET_START - 1] == b'_';
        let is_whole = is_parted && pak.labelled().is_some();
        is_whole.then_some(pak).ok_or(InvalidPak)
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

fn different(bytes: impl Iterator<Item = u8>) -> usize {
    bytes.collect::<HashSet<_>>().len()
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

    #[test]
    fn a_key_says_whose_it_is_and_no_other_letter_makes_a_key() {
        for role in Role::ALL {
            let pak = Pak::generate(role, &System);
            assert_eq!(pak.labelled(), Some(role));
            let mut other = pak.expose()[..LENGTH - CHECKSUM_LENGTH].to_owned();
            other.replace_range(PREFIX.len()..=PREFIX.len(), "z");
            let other = format!("{other}{}", checksum(&other));
            assert_eq!(other.parse::<Pak>().err(), Some(InvalidPak));
        }
    }

    fn with_secret(secret: &str) -> Pak {
        let pak = Pak::generate(Role::Admin, &System);
        let body = format!("{}{secret}", &pak.expose()[..SECRET_START]);
        format!("{body}{}", checksum(&body))
            .parse()
            .expect("a whole key")
    }

    #[test]
    fn a_secret_that_somebody_typed_is_told_from_a_random_one() {
        let typed = |text: &str| text.chars().cycle().take(SECRET_LENGTH).collect::<String>();
        for text in [
            "0",
            "changeme",
            "secret0",
            "0123456789abcdefghijklmnopqrstuv",
            "vutsrqponmlkjihgfedcba9876543210",
            "deadbeef00112233",
            "ap5m2q8c1v9t4hk0b7jrn3d6oesilugf8m1qa5t2",
        ] {
            assert!(with_secret(&typed(text)).looks_made_up(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_generated_key_never_looks_made_up(_: u8) {
            prop_assert!(!Pak::generate(Role::Admin, &System).looks_made_up());
        }

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
