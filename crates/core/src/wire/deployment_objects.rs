use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::digest::Digest;
use crate::id::{DeploymentObjectId, StackId};
use crate::object::KeptKind;

/// An immutable snapshot of a whole stack.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct DeploymentObject {
    /// Its id.
    pub id: DeploymentObjectId,
    /// The stack that it is a snapshot of.
    pub stack: StackId,
    /// Its place in the stack's history, from 1.
    pub sequence: u64,
    /// What names its content: SHA-256 over the default namespace and the manifests.
    pub digest: Digest,
    /// Bytes of YAML.
    pub size: u64,
    /// How many Kubernetes objects it has.
    pub objects: u32,
    /// The namespace of objects that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_namespace: Option<String>,
    /// Who published it: `admin`, or the generator's name.
    pub author: String,
    /// Why, in the author's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it was published.
    pub created_at: Timestamp,
}

/// Publishes a snapshot.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// One multi-document YAML text.
    pub manifests: String,
    /// How it is published.
    #[serde(default)]
    pub options: PublishOptions,
}

/// How a snapshot is published; the query of a raw YAML upload has the same fields.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PublishOptions {
    /// Why, in the author's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Refuse unless the head has this sequence (0: no head yet).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect_sequence: Option<u64>,
    /// Kept kinds whose objects may be deleted where this snapshot drops them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_delete: Vec<KeptKind>,
}

/// The outcome of a publish.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Published {
    /// The stack's head from now on.
    pub deployment_object: DeploymentObject,
    /// Whether the head had this very content already, so that nothing was published.
    pub unchanged: bool,
}

/// Publishes an older snapshot's content again, as a new deployment object.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// The sequence to go back to.
    pub to: u64,
    /// How it is published.
    #[serde(default)]
    pub options: PublishOptions,
}
