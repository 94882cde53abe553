use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The longest one: Kubernetes makes UUIDs, and promises nothing.
const LONGEST: usize = 128;

/// What identifies a cluster: the UID of its namespace `kube-system`, which lives as long as the cluster does.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 128, pattern = "^[!-~]{1,128}$")]
pub struct ClusterUid(String);

/// Why a text is no such UID.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the UID of a cluster has 1 to {LONGEST} visible characters")]
pub struct NoClusterUid;

impl ClusterUid {
    /// As Kubernetes writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ClusterUid {
    type Error = NoClusterUid;

    fn try_from(text: String) -> Result<Self, NoClusterUid> {
        let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.is_empty() || text.len() > LONGEST || !is_visible {
            return Err(NoClusterUid);
        }
        Ok(Self(text))
    }
}

impl FromStr for ClusterUid {
    type Err = NoClusterUid;

    fn from_str(text: &str) -> Result<Self, NoClusterUid> {
        text.to_owned().try_into()
    }
}

impl fmt::Display for ClusterUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_is_short_and_visible() {
        for good in ["019f0000-0000-7000-8000-000000000001", "x"] {
            assert_eq!(good.parse::<ClusterUid>().expect("a UID").as_str(), good);
        }
        for bad in ["", " ", "a b", "a\n", "é", &"x".repeat(LONGEST + 1)] {
            assert_eq!(bad.parse::<ClusterUid>(), Err(NoClusterUid), "{bad:?}");
        }
    }
}
