use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::patch::{PatchTraits, present};
use super::retire::Workloads;
use crate::cluster_uid::ClusterUid;
use crate::id::{AgentId, GeneratorId, KeyId};
use crate::labels::{AnnotationValue, Annotations, LabelValue, Labels};
use crate::name::Name;
use crate::pak::Role;
use crate::service_account::ServiceAccount;
use crate::targeting::{AgentScope, Facts};

/// An agent: a Brokkr process responsible for one cluster.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// Its name, unique among agents.
    pub name: Name,
    /// The revision that last edited it: what `If-Match` takes, and what finds the audit entry.
    pub revision: u64,
    /// What operators say of it, for rules.
    #[serde(default)]
    pub labels: Labels,
    /// What operators say of it, with longer values.
    #[serde(default)]
    pub annotations: Annotations,
    /// What it reports of its cluster itself. Only where one agent is asked for: it can be long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Facts>,
    /// Whether it only looks, and changes nothing in its cluster.
    #[serde(default)]
    pub paused: bool,
    /// The cluster that its sessions are bound to: the UID of the namespace `kube-system`. Absent before the first
    /// session, and after a rebinding until the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterUid>,
    /// Other clusters for which its key was used, and refused, the last one at the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_clusters: Vec<ClusterUid>,
    /// The version that opened its last session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether it is retiring, and what becomes of what it runs: it takes nothing new, and is retired when it has
    /// confirmed all its removals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retiring: Option<Workloads>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it polled last; absent if never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
    /// Whether it has been quiet for longer than three of its intervals: what it said last may be untrue by now.
    pub silent: bool,
}

/// Registers an agent.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateAgent {
    /// Its name.
    pub name: Name,
    /// Its labels.
    #[serde(default)]
    pub labels: Labels,
    /// Its annotations.
    #[serde(default)]
    pub annotations: Annotations,
}

impl CreateAgent {
    /// An agent without labels and annotations.
    pub fn named(name: Name) -> Self {
        Self {
            name,
            labels: Labels::new(),
            annotations: Annotations::new(),
        }
    }
}

/// Changes an agent: JSON Merge Patch (RFC 7396).
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PatchAgent {
    /// The labels to change.
    pub labels: PatchTraits<LabelValue>,
    /// The annotations to change.
    pub annotations: PatchTraits<AnnotationValue>,
    /// Whether it is paused from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
}

/// A new agent with its key, which is shown this once.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CreatedAgent {
    /// The agent.
    pub agent: Agent,
    /// Its key; the broker keeps only a hash of it.
    pub pak: String,
}

/// A generator: an external system that creates stacks in its own scope.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Generator {
    /// Its id.
    pub id: GeneratorId,
    /// Its name, unique among generators.
    pub name: Name,
    /// The revision that last edited it: what `If-Match` takes, and what finds the audit entry.
    pub revision: u64,
    /// Which agents its stacks may reach.
    pub scope: AgentScope,
    /// How much it may have.
    #[serde(default)]
    pub quota: Quota,
    /// The service account by whose rights agents act for its stacks, unless an admin gave a stack another one; absent if
    /// they use their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<ServiceAccount>,
    /// When it was registered.
    pub created_at: Timestamp,
}

/// How much a generator may have. The operators' own stacks have no quota.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Quota {
    /// Stacks at the same time.
    #[schema(default = 1_000)]
    pub stacks: u64,
    /// Bytes of all contents that it ever published, compressed: history is kept for ever.
    #[schema(default = 10_737_418_240_u64)]
    pub bytes: u64,
    /// Deployment objects in any minute.
    #[schema(default = 600)]
    pub publishes_per_minute: u64,
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            stacks: 1_000,
            bytes: 10 * 1024 * 1024 * 1024,
            publishes_per_minute: 600,
        }
    }
}

/// Registers a generator. Its scope must be said: nothing reaches every agent unasked.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateGenerator {
    /// Its name.
    pub name: Name,
    /// Which agents its stacks may reach.
    pub scope: AgentScope,
    /// How much it may have. What is left out is as the settings have it (`limits.default_quota`) at this moment.
    #[serde(default)]
    pub quota: PatchQuota,
    /// The service account by whose rights agents act for its stacks, and by no others; if absent, they use their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<ServiceAccount>,
}

impl CreateGenerator {
    /// A generator with the quota that the settings have.
    pub fn new(name: Name, scope: AgentScope) -> Self {
        Self {
            name,
            scope,
            quota: PatchQuota::default(),
            service_account: None,
        }
    }
}

/// Parts of a quota. What is absent stays as it was, `null` goes back to the default: for a generator that is
/// `limits.default_quota` of the settings.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PatchQuota {
    /// Stacks at the same time.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub stacks: Option<Option<u64>>,
    /// Bytes of all contents that it ever published, compressed.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub bytes: Option<Option<u64>>,
    /// Deployment objects in any minute.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub publishes_per_minute: Option<Option<u64>>,
}

impl PatchQuota {
    /// The quota after this patch.
    pub fn applied_to(self, quota: Quota, default: Quota) -> Quota {
        Quota {
            stacks: self
                .stacks
                .map_or(quota.stacks, |stacks| stacks.unwrap_or(default.stacks)),
            bytes: self
                .bytes
                .map_or(quota.bytes, |bytes| bytes.unwrap_or(default.bytes)),
            publishes_per_minute: self
                .publishes_per_minute
                .map_or(quota.publishes_per_minute, |publishes| {
                    publishes.unwrap_or(default.publishes_per_minute)
                }),
        }
    }
}

/// Changes a generator. A scope that narrows ends the targets of its stacks that lie outside.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PatchGenerator {
    /// Which agents its stacks may reach from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<AgentScope>,
    /// How much it may have from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<PatchQuota>,
    /// As which service account agents act for its stacks from now on; `null` has them use their own rights.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ServiceAccount>)]
    pub service_account: Option<Option<ServiceAccount>>,
}

/// A new generator with its key, which is shown this once.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CreatedGenerator {
    /// The generator.
    pub generator: Generator,
    /// Its key; the broker keeps only a hash of it.
    pub pak: String,
}

/// That somebody signed in to the console. The cookie is in the answer's headers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct SignedIn {
    /// As whom.
    pub me: Me,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
}

/// Who the caller is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// The role that the key has.
    pub role: Role,
    /// The agent's or generator's id; absent for an admin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// The agent's or generator's name; absent for an admin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// The key in use.
    pub key: KeyId,
}
