//! What identifies a Kubernetes object inside a cluster.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A Kubernetes object's identity: API group, kind, namespace and name.
///
/// The version is not part of it: `apps/v1` and `apps/v1beta1` name the same object.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, ToSchema)]
pub struct ObjectKey {
    /// The API group; empty for the core group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The kind, such as `Deployment`.
    pub kind: String,
    /// The namespace; none for an object of the whole cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The object's name.
    pub name: String,
}

/// Kinds whose loss takes data or whole environments with it. They are kept when a snapshot drops
/// them or their stack is removed, unless the publish or removal names the kind in `allow_delete`.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, ToSchema,
)]
pub enum KeptKind {
    /// A namespace takes everything inside it along.
    Namespace,
    /// A definition takes every custom resource of its kind along.
    CustomResourceDefinition,
    /// A claim takes the volume's data along.
    PersistentVolumeClaim,
}

impl KeptKind {
    /// Every kept kind, in the order in which they are shown.
    pub const ALL: [Self; 3] = [
        Self::Namespace,
        Self::CustomResourceDefinition,
        Self::PersistentVolumeClaim,
    ];

    const fn group_and_kind(self) -> (&'static str, &'static str) {
        match self {
            Self::Namespace => ("", "Namespace"),
            Self::CustomResourceDefinition => ("apiextensions.k8s.io", "CustomResourceDefinition"),
            Self::PersistentVolumeClaim => ("", "PersistentVolumeClaim"),
        }
    }
}

impl fmt::Display for KeptKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.group_and_kind().1)
    }
}

impl std::str::FromStr for KeptKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.group_and_kind().1.eq_ignore_ascii_case(text)).ok_or_else(
            || format!("`{text}` is not a kept kind: only Namespace, CustomResourceDefinition and PersistentVolumeClaim are"),
        )
    }
}

impl ObjectKey {
    /// How many bytes its words have.
    pub fn length(&self) -> usize {
        let namespace = self.namespace.as_ref().map_or(0, String::len);
        self.group.len() + self.kind.len() + namespace + self.name.len()
    }

    /// The kept kind that this object is of, if it is of one.
    pub fn kept_kind(&self) -> Option<KeptKind> {
        KeptKind::ALL
            .into_iter()
            .find(|kept| kept.group_and_kind() == (&self.group, &self.kind))
    }

    /// Whether both keys name one object when `self` was resolved by a cluster and `written` was read
    /// from a manifest, where the namespace of a cluster-wide object is noise.
    pub fn is_written_as(&self, written: &Self) -> bool {
        self.group == written.group
            && self.kind == written.kind
            && self.name == written.name
            && (self.namespace.is_none() || self.namespace == written.namespace)
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        match &self.namespace {
            Some(namespace) => write!(f, " {namespace}/{}", self.name),
            None => write!(f, " {}", self.name),
        }
    }
}
