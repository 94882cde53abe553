use std::collections::HashMap;

use serde_json::Value;

use crate::manifest::Manifest;

/// How the API calls the objects of a kind.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Resource {
    pub group: String,
    pub plural: String,
    pub is_namespaced: bool,
}

/// Whether it is known what the objects of a kind are called.
pub(super) enum Found {
    Known(Resource),
    Guessed(Resource),
}

/// The kinds that Kubernetes has, and those that a snapshot defines.
pub(super) struct Resources(HashMap<(String, String), Resource>);

/// The API groups of Kubernetes itself.
const OWN_GROUPS: &[&str] = &[
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
];

/// The groups of Kubernetes of which no kind has a namespace.
const WIDE_GROUPS: &[&str] = &[
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "node.k8s.io",
    "scheduling.k8s.io",
];

/// The other kinds of Kubernetes that have none.
const WIDE_KINDS: &[(&str, &str)] = &[
    ("", "Namespace"),
    ("", "Node"),
    ("", "PersistentVolume"),
    ("certificates.k8s.io", "CertificateSigningRequest"),
    ("certificates.k8s.io", "ClusterTrustBundle"),
    ("networking.k8s.io", "IPAddress"),
    ("networking.k8s.io", "IngressClass"),
    ("networking.k8s.io", "ServiceCIDR"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("resource.k8s.io", "DeviceClass"),
    ("resource.k8s.io", "ResourceSlice"),
    ("storage.k8s.io", "CSIDriver"),
    ("storage.k8s.io", "CSINode"),
    ("storage.k8s.io", "StorageClass"),
    ("storage.k8s.io", "VolumeAttachment"),
    ("storage.k8s.io", "VolumeAttributesClass"),
];

impl Resources {
    pub(super) fn with_defined(manifests: &[Manifest]) -> Self {
        let definitions = manifests.iter().filter(|m| {
            m.group() == "apiextensions.k8s.io" && m.kind == "CustomResourceDefinition"
        });
        Self(definitions.filter_map(defined).collect())
    }

    pub(super) fn find(&self, manifest: &Manifest) -> Found {
        let (group, kind) = (manifest.group(), manifest.kind.as_str());
        let of_kind = (group.to_owned(), kind.to_owned());
        if let Some(resource) = self.0.get(&of_kind) {
            return Found::Known(resource.clone());
        }
        let is_wide = WIDE_GROUPS.contains(&group) || WIDE_KINDS.contains(&(group, kind));
        let resource = Resource {
            group: group.to_owned(),
            plural: plural(kind),
            is_namespaced: !is_wide,
        };
        if OWN_GROUPS.contains(&group) {
            Found::Known(resource)
        } else {
            Found::Guessed(resource)
        }
    }
}

fn defined(definition: &Manifest) -> Option<((String, String), Resource)> {
    let spec = definition.object.get("spec")?;
    let text = |pointer: &str| spec.pointer(pointer).and_then(Value::as_str);
    let group = text("/group")?.to_owned();
    let resource = Resource {
        group: group.clone(),
        plural: text("/names/plural")?.to_owned(),
        is_namespaced: text("/scope")? == "Namespaced",
    };
    Some(((group, text("/names/kind")?.to_owned()), resource))
}

/// As Kubernetes names its own resources, and most others theirs.
fn plural(kind: &str) -> String {
    let singular = kind.to_lowercase();
    let is_vowel = |letter: char| "aeiou".contains(letter);
    match singular.strip_suffix('y') {
        Some(stem) if !stem.ends_with(is_vowel) => format!("{stem}ies"),
        _ if singular == "endpoints" => singular,
        _ if singular.ends_with('s') => format!("{singular}es"),
        _ => format!("{singular}s"),
    }
}
