//! What an object must find in the cluster, or the server refuses it.

use std::collections::HashSet;

use brokkr_core::ObjectKey;
use serde_json::{Map, Value};

use super::definition::Definitions;
use super::snapshot::Object;

pub(super) fn of(
    key: &ObjectKey,
    body: &Map<String, Value>,
    definitions: &Definitions,
) -> Vec<ObjectKey> {
    let namespace = key.namespace.as_deref();
    let mut needs: Vec<ObjectKey> = namespace.map(namespace_key).into_iter().collect();
    needs.extend(definitions.key(&key.group, &key.kind).cloned());
    let text = |object: Option<&Value>, field: &str| {
        object.and_then(|o| o.get(field)?.as_str().map(str::to_owned))
    };
    match (key.group.as_str(), key.kind.as_str()) {
        ("", "Pod") => {
            let spec = body.get("spec");
            let account = text(spec, "serviceAccountName");
            let priority = text(spec, "priorityClassName");
            needs.extend(account.map(|name| object("", "ServiceAccount", namespace, name)));
            needs.extend(
                priority.map(|name| object("scheduling.k8s.io", "PriorityClass", None, name)),
            );
        }
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            let role = body.get("roleRef");
            if let (Some(kind), Some(name)) = (text(role, "kind"), text(role, "name")) {
                let namespace = namespace.filter(|_| kind == "Role");
                needs.push(object(&key.group, &kind, namespace, name));
            }
        }
        _ => {}
    }
    needs
}

/// Drops needs that the snapshot does not fill: those are the cluster's to judge.
pub(super) fn keep_those_in(objects: &mut [Object], snapshot: &HashSet<ObjectKey>) {
    for object in objects {
        object.needs.retain(|need| snapshot.contains(need));
    }
}

pub(super) fn namespace_key(name: &str) -> ObjectKey {
    object("", "Namespace", None, name.to_owned())
}

fn object(group: &str, kind: &str, namespace: Option<&str>, name: String) -> ObjectKey {
    ObjectKey {
        group: group.to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.map(str::to_owned),
        name,
    }
}
