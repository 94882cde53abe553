use std::fmt;

use crate::object::ObjectKey;

/// When an object is applied: what others stand on comes first. Deletions go the other way round.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Phase {
    /// Everything else lies inside them.
    Namespaces,
    /// Custom resources need their definition.
    Definitions,
    /// What workloads refer to: accounts, rights, configuration, storage, names, limits.
    Configuration,
    /// What runs, and everything that is not named elsewhere, such as custom resources.
    Workloads,
    /// What intercepts requests, last, because it fails them until what runs is ready to answer.
    Interception,
}

impl Phase {
    /// Every phase, in the order of applying.
    pub const ALL: [Self; 5] = [
        Self::Namespaces,
        Self::Definitions,
        Self::Configuration,
        Self::Workloads,
        Self::Interception,
    ];

    /// The phase of an object.
    pub fn of(key: &ObjectKey) -> Self {
        match (key.group.as_str(), key.kind.as_str()) {
            ("", "Namespace") => Self::Namespaces,
            ("apiextensions.k8s.io", "CustomResourceDefinition") => Self::Definitions,
            (
                "",
                "ServiceAccount"
                | "Secret"
                | "ConfigMap"
                | "PersistentVolume"
                | "PersistentVolumeClaim"
                | "Service"
                | "ResourceQuota"
                | "LimitRange",
            )
            | ("rbac.authorization.k8s.io" | "storage.k8s.io" | "node.k8s.io", _)
            | ("scheduling.k8s.io", "PriorityClass")
            | ("networking.k8s.io", "IngressClass" | "NetworkPolicy") => Self::Configuration,
            ("admissionregistration.k8s.io" | "apiregistration.k8s.io", _) => Self::Interception,
            _ => Self::Workloads,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Namespaces => "namespaces",
            Self::Definitions => "custom resource definitions",
            Self::Configuration => "access and configuration",
            Self::Workloads => "workloads",
            Self::Interception => "webhooks and API services",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_stand_on_comes_first() {
        let phase = |group: &str, kind: &str| {
            Phase::of(&ObjectKey {
                group: group.into(),
                kind: kind.into(),
                namespace: None,
                name: "a".into(),
            })
        };
        assert_eq!(phase("", "Namespace"), Phase::Namespaces);
        assert_eq!(
            phase("apiextensions.k8s.io", "CustomResourceDefinition"),
            Phase::Definitions
        );
        assert_eq!(phase("", "Secret"), Phase::Configuration);
        assert_eq!(
            phase("rbac.authorization.k8s.io", "RoleBinding"),
            Phase::Configuration
        );
        assert_eq!(phase("apps", "Deployment"), Phase::Workloads);
        assert_eq!(phase("example.io", "Secret"), Phase::Workloads);
        assert_eq!(phase("example.io", "Namespace"), Phase::Workloads);
        assert_eq!(
            phase(
                "admissionregistration.k8s.io",
                "ValidatingWebhookConfiguration"
            ),
            Phase::Interception
        );
        assert!(Phase::ALL.is_sorted());
    }
}
