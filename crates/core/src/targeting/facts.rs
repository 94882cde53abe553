use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The most kinds that an agent reports.
pub const MAX_KINDS: usize = 5000;
/// The longest name of a kind with its group, in bytes.
pub const MAX_KIND: usize = 320;
/// The longest text of any other fact, in bytes.
pub const MAX_FACT: usize = 256;

/// What an agent finds out about its cluster by itself.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Reported")]
pub struct Facts {
    /// The version of the cluster's API server, such as `v1.33.2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 256, examples("v1.33.2"))]
    pub kubernetes_version: Option<String>,
    /// Who runs the machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 256)]
    pub provider: Option<String>,
    /// Where they stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 256, examples("eu-west-1"))]
    pub region: Option<String>,
    /// The kinds that the cluster serves, as `group/Kind`; those of the core group without a group.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(max_items = 5000, required = false)]
    pub kinds: BTreeSet<String>,
}

/// Facts as they come in. Unknown ones are ignored: the agent may be newer than the broker.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Reported {
    kubernetes_version: Option<String>,
    provider: Option<String>,
    region: Option<String>,
    kinds: BTreeSet<String>,
}

/// Why a report is no facts.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidFacts {
    /// A text is too long or has control characters.
    #[error("the fact `{0}` has at most {MAX_FACT} bytes and no control characters")]
    Text(Fact),
    /// Too many kinds.
    #[error("at most {MAX_KINDS} kinds are taken, these are {0}")]
    TooManyKinds(usize),
    /// The name of a kind is too long or has control characters.
    #[error("a kind has 1 to {MAX_KIND} bytes and no control characters")]
    Kind,
}

impl TryFrom<Reported> for Facts {
    type Error = InvalidFacts;

    fn try_from(reported: Reported) -> Result<Self, Self::Error> {
        let texts = [
            (Fact::KubernetesVersion, &reported.kubernetes_version),
            (Fact::Provider, &reported.provider),
            (Fact::Region, &reported.region),
        ];
        for (fact, text) in texts {
            if text.as_ref().is_some_and(|text| !is_plain(text, MAX_FACT)) {
                return Err(InvalidFacts::Text(fact));
            }
        }
        if reported.kinds.len() > MAX_KINDS {
            return Err(InvalidFacts::TooManyKinds(reported.kinds.len()));
        }
        if !reported.kinds.iter().all(|kind| is_plain(kind, MAX_KIND)) {
            return Err(InvalidFacts::Kind);
        }
        Ok(Self {
            kubernetes_version: reported.kubernetes_version,
            provider: reported.provider,
            region: reported.region,
            kinds: reported.kinds,
        })
    }
}

fn is_plain(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// A fact that a condition may name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Fact {
    /// `kubernetes.version`, compared as a version.
    KubernetesVersion,
    /// `provider`
    Provider,
    /// `region`
    Region,
    /// `kinds`, a set.
    Kinds,
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KubernetesVersion => "kubernetes.version",
            Self::Provider => "provider",
            Self::Region => "region",
            Self::Kinds => "kinds",
        })
    }
}

impl FromStr for Fact {
    type Err = UnknownFact;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "kubernetes.version" => Ok(Self::KubernetesVersion),
            "provider" => Ok(Self::Provider),
            "region" => Ok(Self::Region),
            "kinds" => Ok(Self::Kinds),
            other => Err(UnknownFact(other.chars().take(80).collect())),
        }
    }
}

/// There is no such fact.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "`{0}` is not a fact: agents report `kubernetes.version`, `provider`, `region` and `kinds`"
)]
pub struct UnknownFact(String);
