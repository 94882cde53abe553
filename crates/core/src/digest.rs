//! The digest that names a content.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

/// SHA-256 over a deployment object's default namespace and manifests, written `sha256:<hex>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String, examples("sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"))]
pub struct Digest([u8; 32]);

/// So many bytes are read at once.
const PIECE: usize = 64 * 1024;

/// A text that is not `sha256:` and 64 hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("a digest is `sha256:` followed by 64 hexadecimal digits")]
pub struct InvalidDigest;

impl Digest {
    /// The digest of a snapshot. The namespace is part of it: the same text published for
    /// another namespace is another content. Its length comes first, so that no two
    /// pairs of namespace and text hash the same bytes.
    pub fn of(default_namespace: Option<&str>, manifests: &str) -> Self {
        let mut hash = begin(default_namespace);
        hash.update(manifests.as_bytes());
        Self(hash.finalize().into())
    }

    /// The digest of a snapshot whose manifests are read, and need not be in memory at once. It fails as the reader does.
    pub fn of_read(default_namespace: Option<&str>, mut manifests: impl Read) -> io::Result<Self> {
        let mut hash = begin(default_namespace);
        let mut piece = vec![0; PIECE];
        loop {
            let read = manifests.read(&mut piece)?;
            if read == 0 {
                return Ok(Self(hash.finalize().into()));
            }
            hash.update(&piece[..read]);
        }
    }

    /// The 32 bytes as the database keeps them.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

fn begin(default_namespace: Option<&str>) -> Sha256 {
    let namespace = default_namespace.unwrap_or_default();
    let mut hash = Sha256::new();
    hash.update(
        u64::try_from(namespace.len())
            .unwrap_or(u64::MAX)
            .to_be_bytes(),
    );
    hash.update(namespace.as_bytes());
    hash
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl TryFrom<Vec<u8>> for Digest {
    type Error = InvalidDigest;

    fn try_from(bytes: Vec<u8>) -> Result<Self, Self::Error> {
        bytes.try_into().map(Self).map_err(|_| InvalidDigest)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = text.strip_prefix("sha256:").ok_or(InvalidDigest)?;
        HEXLOWER
            .decode(hex.as_bytes())
            .map_err(|_| InvalidDigest)?
            .try_into()
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespace_and_text_cannot_be_shifted_into_each_other() {
        assert_ne!(Digest::of(Some("a"), "bc"), Digest::of(Some("ab"), "c"));
        assert_ne!(Digest::of(None, "a"), Digest::of(Some("a"), ""));
    }

    #[test]
    fn text_form_round_trips() {
        let digest = Digest::of(None, "kind: ConfigMap");
        assert_eq!(digest.to_string().parse::<Digest>().ok(), Some(digest));
        for wrong in [
            "",
            "sha256:",
            "sha256:00",
            "md5:00",
            &digest.to_string()[1..],
        ] {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
        }
    }
}
