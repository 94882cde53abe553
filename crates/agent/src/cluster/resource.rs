use std::borrow::Cow;
use std::fmt::Write as _;

use brokkr_core::ObjectKey;
use serde::{Deserialize, Serialize};

/// Where the API server serves a kind. An inventory remembers it, so that what was applied is found
/// again even when its definition is not.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub(crate) struct Resource {
    /// Group and version, as `apps/v1` or `v1`.
    pub api_version: String,
    /// The plural in paths.
    pub plural: String,
}

impl Resource {
    pub(crate) fn new(group: &str, version: &str, plural: &str) -> Self {
        let api_version = if group.is_empty() {
            version.to_owned()
        } else {
            format!("{group}/{version}")
        };
        Self {
            api_version,
            plural: plural.to_owned(),
        }
    }

    /// The path of all objects of the kind, or of those in a namespace.
    pub(crate) fn collection(&self, namespace: Option<&str>) -> String {
        let root = if self.api_version.contains('/') {
            "apis"
        } else {
            "api"
        };
        let Self {
            api_version,
            plural,
        } = self;
        match namespace {
            Some(namespace) => format!(
                "/{root}/{api_version}/namespaces/{}/{plural}",
                escape(namespace)
            ),
            None => format!("/{root}/{api_version}/{plural}"),
        }
    }

    /// The path of one object.
    pub(crate) fn object(&self, key: &ObjectKey) -> String {
        let collection = self.collection(key.namespace.as_deref());
        format!("{collection}/{}", escape(&key.name))
    }
}

/// Some kinds take names with almost any character in them, and selectors have some of their own.
pub(super) fn escape(segment: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte);
    if segment.bytes().all(is_plain) {
        return Cow::Borrowed(segment);
    }
    let mut escaped = String::new();
    for byte in segment.bytes() {
        if is_plain(byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(resource: &Resource, namespace: Option<&str>, name: &str) -> String {
        resource.object(&ObjectKey {
            group: String::new(),
            kind: String::new(),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        })
    }

    #[test]
    fn paths_are_those_of_the_api_server() {
        let config_maps = Resource::new("", "v1", "configmaps");
        assert_eq!(
            path(&config_maps, Some("shop"), "a.b"),
            "/api/v1/namespaces/shop/configmaps/a.b"
        );
        let roles = Resource::new("rbac.authorization.k8s.io", "v1", "clusterroles");
        assert_eq!(
            path(&roles, None, "system:node"),
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node"
        );
        assert!(path(&roles, None, "é{}").ends_with("/%C3%A9%7B%7D"));
    }
}
