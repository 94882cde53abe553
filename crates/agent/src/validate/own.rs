//! What keeps the agent at work: no stack may write there, or one manifest could stop or replace it.

use brokkr_core::ObjectKey;

/// The namespace with the agent's account, its records and whatever else it runs by.
#[derive(Clone, Copy)]
pub(crate) struct OwnNamespace<'a>(pub &'a str);

impl OwnNamespace<'_> {
    /// Why an object cannot be a stack's, if it cannot.
    pub(super) fn refusal(self, key: &ObjectKey) -> Option<String> {
        let Self(own) = self;
        let is_in_it = key.namespace.as_deref() == Some(own);
        let is_it = key.group.is_empty() && key.kind == "Namespace" && key.name == own;
        match (is_in_it, is_it) {
            (true, _) => Some(format!(
                "it would lie in the namespace {own}, where this agent's own account and records are, which no stack may write to: choose another namespace"
            )),
            (_, true) => Some(format!(
                "the namespace {own} is this agent's own, which no stack may write to: choose another name"
            )),
            (false, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agents_own_namespace_is_no_place_for_a_stack() {
        let key = |group: &str, kind: &str, namespace: Option<&str>, name: &str| ObjectKey {
            group: group.into(),
            kind: kind.into(),
            namespace: namespace.map(str::to_owned),
            name: name.into(),
        };
        let own = Some("brokkr-system");
        for refused in [
            key("", "Namespace", None, "brokkr-system"),
            key("", "ConfigMap", own, "brokkr-agent"),
            key("", "Secret", own, "anything"),
            key("", "ServiceAccount", own, "default"),
            key("coordination.k8s.io", "Lease", own, "brokkr-agent"),
            key("rbac.authorization.k8s.io", "RoleBinding", own, "more"),
        ] {
            let reason = OwnNamespace("brokkr-system").refusal(&refused);
            let reason = reason.unwrap_or_else(|| panic!("{refused} is let through"));
            assert!(reason.contains("brokkr-system"), "{reason}");
        }
        for fine in [
            key("", "Namespace", None, "brokkr-system-2"),
            key("", "ConfigMap", Some("shop"), "brokkr-agent"),
            key("", "ConfigMap", Some("shop"), "brokkr-system"),
            key("example.io", "Namespace", None, "brokkr-system"),
            key("", "PersistentVolume", None, "brokkr-system"),
        ] {
            assert_eq!(OwnNamespace("brokkr-system").refusal(&fine), None, "{fine}");
        }
    }
}
