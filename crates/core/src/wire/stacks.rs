use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::patch::{PatchTraits, present};
use crate::digest::Digest;
use crate::id::{DeploymentObjectId, StackId};
use crate::labels::{AnnotationValue, Annotations, LabelValue, Labels};
use crate::name::Name;
use crate::service_account::ServiceAccount;
use crate::targeting::{Exclusion, Rule, Targeting};

/// What happens in a cluster to the objects of a stack that is removed from it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnRemove {
    /// They are deleted, except those of kept kinds.
    #[default]
    Delete,
    /// They stay and are nobody's from then on.
    Orphan,
}

/// What becomes of an object that a snapshot has and that exists already, as somebody else's. Another stack's is
/// never taken.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Adopt {
    /// It is a conflict, and nothing of the snapshot is applied.
    #[default]
    Never,
    /// It is taken if applying would change nothing of it but whose it is.
    IfIdentical,
    /// It is taken, and made what the snapshot says.
    Always,
}

impl Adopt {
    /// Whether nothing is taken.
    pub fn is_never(&self) -> bool {
        *self == Self::Never
    }
}

/// What an entry of a target state requires whose drift is only reported: an agent that would change it back holds it.
pub const DRIFT_REPORT: &str = "drift-report";

/// What becomes of what others did to a stack's objects since they were written.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Drift {
    /// It is changed back.
    #[default]
    Repair,
    /// It is left as it is, and said: the stack is held. A version that changes such an object writes it.
    Report,
}

impl Drift {
    /// Whether it is changed back.
    pub fn is_repaired(&self) -> bool {
        *self == Self::Repair
    }
}

/// What an entry of a target state, or a removal in it, requires whose agent is to act as a service account: one that would
/// use its own rights leaves it alone.
pub const IMPERSONATE: &str = "impersonate";

/// How a stack behaves.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StackOptions {
    /// The namespace of objects that name none; each deployment object keeps the one it was published with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_namespace: Option<String>,
    /// Whether agents create the default namespace if it is missing. They never delete it.
    pub create_namespace: bool,
    /// What happens to the objects when the stack is removed from a cluster.
    pub on_remove: OnRemove,
    /// What becomes of objects that exist already, as somebody else's.
    pub adopt: Adopt,
    /// What becomes of what others did to its objects.
    pub drift: Drift,
    /// Whether agents only look, and change nothing.
    pub paused: bool,
    /// Whether new versions wait for no maintenance window. Only an admin sets it.
    pub ignore_windows: bool,
    /// The service account by whose rights agents act for the stack, and by no others; if absent, that of its generator.
    /// Only an admin sets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<ServiceAccount>,
}

/// A named collection of Kubernetes objects that are managed as a unit.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Stack {
    /// Its id.
    pub id: StackId,
    /// Its name, unique per owner.
    pub name: Name,
    /// The generator that owns it; absent if the operators do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<Name>,
    /// The revision that last edited it: what `If-Match` takes, and what finds the audit entry.
    pub revision: u64,
    /// What its owner says of it, for rules.
    #[serde(default)]
    pub labels: Labels,
    /// What its owner says of it, with longer values.
    #[serde(default)]
    pub annotations: Annotations,
    /// Which agents run it, beside those that are targeted directly.
    #[serde(default)]
    pub targeting: Targeting,
    /// How it behaves.
    pub options: StackOptions,
    /// The service account that its generator has: agents act as this one unless the options name another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator_account: Option<ServiceAccount>,
    /// Its newest deployment object; absent before the first publish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<StackHead>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was deleted; absent if it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
}

impl Stack {
    /// The service account by whose rights agents act for it; none if they use their own.
    pub fn service_account(&self) -> Option<&ServiceAccount> {
        let own = self.options.service_account.as_ref();
        own.or(self.generator_account.as_ref())
    }
}

/// The newest deployment object of a stack.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct StackHead {
    /// Its id.
    pub deployment_object: DeploymentObjectId,
    /// Its place in the stack's history, from 1.
    pub sequence: u64,
    /// What names its content.
    pub digest: Digest,
}

/// Creates a stack.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateStack {
    /// Its name.
    pub name: Name,
    /// Its labels.
    #[serde(default)]
    pub labels: Labels,
    /// Its annotations.
    #[serde(default)]
    pub annotations: Annotations,
    /// Which agents run it from the beginning.
    #[serde(default)]
    pub targeting: Targeting,
    /// How it behaves.
    #[serde(default)]
    pub options: StackOptions,
}

impl CreateStack {
    /// A stack that nobody runs yet, with the usual options.
    pub fn named(name: Name) -> Self {
        Self {
            name,
            labels: Labels::new(),
            annotations: Annotations::new(),
            targeting: Targeting::default(),
            options: StackOptions::default(),
        }
    }
}

/// Changes a stack: JSON Merge Patch (RFC 7396).
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PatchStack {
    /// The labels to change.
    pub labels: PatchTraits<LabelValue>,
    /// The annotations to change.
    pub annotations: PatchTraits<AnnotationValue>,
    /// The targeting to change.
    pub targeting: PatchTargeting,
    /// The options to change.
    pub options: PatchStackOptions,
}

/// The targeting to change. A list replaces the one before; rules that stand in both stay as they were.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PatchTargeting {
    /// All rules from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<Vec<Rule>>,
    /// All exclusions from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude: Option<Vec<Exclusion>>,
}

/// The options to change; `null` clears one that may be absent.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PatchStackOptions {
    /// For the next publish.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub default_namespace: Option<Option<String>>,
    /// From now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create_namespace: Option<bool>,
    /// For removals from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_remove: Option<OnRemove>,
    /// From now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adopt: Option<Adopt>,
    /// From now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
    /// From now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// From now on. Only an admin sets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_windows: Option<bool>,
    /// From now on; `null` goes back to that of the generator. Only an admin sets it.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ServiceAccount>)]
    pub service_account: Option<Option<ServiceAccount>>,
}

impl PatchStackOptions {
    /// The options after this patch.
    pub fn applied_to(self, options: StackOptions) -> StackOptions {
        StackOptions {
            default_namespace: self.default_namespace.unwrap_or(options.default_namespace),
            create_namespace: self.create_namespace.unwrap_or(options.create_namespace),
            on_remove: self.on_remove.unwrap_or(options.on_remove),
            adopt: self.adopt.unwrap_or(options.adopt),
            drift: self.drift.unwrap_or(options.drift),
            paused: self.paused.unwrap_or(options.paused),
            ignore_windows: self.ignore_windows.unwrap_or(options.ignore_windows),
            service_account: self.service_account.unwrap_or(options.service_account),
        }
    }
}
