//! The Pods that a built-in workload makes.

use brokkr_core::ObjectKey;
use serde_json::{Map, Value};

/// What an object says of its Pods; none if it makes none.
pub(super) fn of<'a>(key: &ObjectKey, body: &'a Map<String, Value>) -> Option<&'a Value> {
    let path: &[&str] = match (key.group.as_str(), key.kind.as_str()) {
        ("", "Pod") => &["spec"],
        ("", "PodTemplate") => &["template", "spec"],
        ("", "ReplicationController")
        | ("apps", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet")
        | ("batch", "Job") => &["spec", "template", "spec"],
        ("batch", "CronJob") => &["spec", "jobTemplate", "spec", "template", "spec"],
        _ => return None,
    };
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(body.get(*first)?, |value, field| value.get(field))
}

/// The images of all containers, and those that are mounted.
pub(super) fn images(spec: &Value) -> Vec<&str> {
    let list = |field: &str| {
        spec.get(field)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    let containers = ["initContainers", "containers", "ephemeralContainers"];
    let containers = containers.into_iter().flat_map(list);
    let images = containers.filter_map(|container| container.get("image"));
    let mounted = list("volumes").filter_map(|volume| volume.get("image")?.get("reference"));
    images.chain(mounted).filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_workload_is_looked_into() {
        let spec = json!({
            "initContainers": [{"image": "a"}],
            "containers": [{"image": "b"}, {"name": "none"}],
            "ephemeralContainers": [{"image": "c"}],
            "volumes": [{"image": {"reference": "d"}}, {"emptyDir": {}}],
        });
        let template = json!({"spec": spec});
        for (group, kind, body) in [
            ("", "Pod", json!({"spec": spec})),
            ("", "PodTemplate", json!({"template": template})),
            (
                "",
                "ReplicationController",
                json!({"spec": {"template": template}}),
            ),
            (
                "apps",
                "Deployment",
                json!({"spec": {"template": template}}),
            ),
            (
                "apps",
                "ReplicaSet",
                json!({"spec": {"template": template}}),
            ),
            (
                "apps",
                "StatefulSet",
                json!({"spec": {"template": template}}),
            ),
            ("apps", "DaemonSet", json!({"spec": {"template": template}})),
            ("batch", "Job", json!({"spec": {"template": template}})),
            (
                "batch",
                "CronJob",
                json!({"spec": {"jobTemplate": {"spec": {"template": template}}}}),
            ),
        ] {
            let key = ObjectKey {
                group: group.into(),
                kind: kind.into(),
                namespace: None,
                name: "a".into(),
            };
            let body = body.as_object().expect("a map");
            let found = of(&key, body).unwrap_or_else(|| panic!("{kind} makes no Pods"));
            assert_eq!(images(found), ["a", "b", "c", "d"], "{kind}");
            let other = ObjectKey {
                group: "example.io".into(),
                ..key
            };
            assert!(of(&other, body).is_none(), "{kind}");
        }
    }
}
