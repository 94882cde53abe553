//! Which pods are a workload's.

use std::fmt::Write as _;

use serde_json::Value;

use super::text;
use crate::object::ObjectKey;

/// How the pods of a workload are found: by its own selector, and then by whom they say owns them, since selectors
/// of different workloads may overlap.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selection {
    /// A label selector as the API takes it.
    pub selector: String,
    /// The UID of the workload.
    pub owner: String,
    /// The pods belong to the `ReplicaSet` of this revision, which belongs to the workload.
    pub revision: Option<String>,
    /// Pods that failed are replaced.
    pub is_retried: bool,
}

const REVISION: &str = "/metadata/annotations/deployment.kubernetes.io~1revision";

impl Selection {
    /// The pods of this object, if it is of a kind that has some.
    pub fn of(key: &ObjectKey, object: &Value) -> Option<Self> {
        let revision = match (key.group.as_str(), key.kind.as_str()) {
            ("apps", "Deployment") => Some(text(object, REVISION)?.to_owned()),
            ("apps", "StatefulSet" | "DaemonSet" | "ReplicaSet")
            | ("batch", "Job")
            | ("", "ReplicationController") => None,
            _ => return None,
        };
        Some(Self {
            selector: selector(object.pointer("/spec/selector")?, &key.kind)?,
            owner: text(object, "/metadata/uid")?.to_owned(),
            revision,
            is_retried: key.kind == "Job",
        })
    }

    /// Whether this object says that the owner controls it.
    pub fn is_owned_by(object: &Value, owner: &str) -> bool {
        let owners = object.pointer("/metadata/ownerReferences");
        let owners = owners.and_then(Value::as_array).into_iter().flatten();
        owners
            .into_iter()
            .any(|reference| text(reference, "/uid") == Some(owner))
    }

    /// The pods of the `ReplicaSet` that has the revision, if it is among these.
    pub fn within(&self, replica_sets: &[Value]) -> Option<Self> {
        let newest = replica_sets.iter().find(|object| {
            Self::is_owned_by(object, &self.owner)
                && text(object, REVISION) == self.revision.as_deref()
        })?;
        let hash = text(newest, "/metadata/labels/pod-template-hash")?;
        Some(Self {
            selector: format!("{},pod-template-hash={hash}", self.selector),
            owner: text(newest, "/metadata/uid")?.to_owned(),
            revision: None,
            is_retried: self.is_retried,
        })
    }
}

/// A selector of an object's specification, in the words of a request. A selector that selects nothing has none.
fn selector(given: &Value, kind: &str) -> Option<String> {
    let labels = if kind == "ReplicationController" {
        Some(given)
    } else {
        given.get("matchLabels")
    };
    let mut terms = Vec::new();
    for (label, value) in labels.and_then(Value::as_object).into_iter().flatten() {
        terms.push(format!("{label}={}", value.as_str()?));
    }
    let expressions = given.get("matchExpressions").and_then(Value::as_array);
    for expression in expressions.into_iter().flatten() {
        terms.push(term(expression)?);
    }
    (!terms.is_empty()).then(|| terms.join(","))
}

fn term(expression: &Value) -> Option<String> {
    let label = text(expression, "/key")?;
    let values = || {
        let values = expression.get("values")?.as_array()?;
        let mut text = String::new();
        for (number, value) in values.iter().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            // Writing to a String cannot fail.
            let _ = write!(text, "{comma}{}", value.as_str()?);
        }
        Some(text)
    };
    match text(expression, "/operator")? {
        "In" => Some(format!("{label} in ({})", values()?)),
        "NotIn" => Some(format!("{label} notin ({})", values()?)),
        "Exists" => Some(label.to_owned()),
        "DoesNotExist" => Some(format!("!{label}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(group: &str, kind: &str) -> ObjectKey {
        ObjectKey {
            group: group.into(),
            kind: kind.into(),
            namespace: Some("shop".into()),
            name: "web".into(),
        }
    }

    #[test]
    fn selectors_are_said_as_requests_say_them() {
        let cases = [
            (
                json!({"matchLabels": {"a": "1", "b": "2"}}),
                Some("a=1,b=2"),
            ),
            (
                json!({"matchExpressions": [
                    {"key": "a", "operator": "In", "values": ["1", "2"]},
                    {"key": "b", "operator": "NotIn", "values": ["3"]},
                    {"key": "c", "operator": "Exists"},
                    {"key": "d", "operator": "DoesNotExist"},
                ]}),
                Some("a in (1,2),b notin (3),c,!d"),
            ),
            (
                json!({"matchExpressions": [{"key": "a", "operator": "Gt"}]}),
                None,
            ),
            // Everything would be asked for.
            (json!({}), None),
        ];
        for (selector, words) in cases {
            let object = json!({"metadata": {"uid": "u"}, "spec": {"selector": selector}});
            let found = Selection::of(&key("apps", "StatefulSet"), &object);
            assert_eq!(found.map(|found| found.selector).as_deref(), words);
        }
        let controller = json!({"metadata": {"uid": "u"}, "spec": {"selector": {"a": "1"}}});
        let found = Selection::of(&key("", "ReplicationController"), &controller);
        assert_eq!(found.map(|found| found.selector).as_deref(), Some("a=1"));
        assert_eq!(Selection::of(&key("", "ConfigMap"), &controller), None);
    }

    #[test]
    fn a_deployments_pods_are_those_of_its_newest_replica_set() {
        let deployment = json!({
            "metadata": {"uid": "u", "annotations": {"deployment.kubernetes.io/revision": "2"}},
            "spec": {"selector": {"matchLabels": {"app": "web"}}},
        });
        let replica_set = |uid: &str, owner: &str, revision: &str| {
            json!({"metadata": {
                "uid": uid, "labels": {"app": "web", "pod-template-hash": format!("h-{uid}")},
                "annotations": {"deployment.kubernetes.io/revision": revision},
                "ownerReferences": [{"uid": owner}],
            }})
        };
        let selection = Selection::of(&key("apps", "Deployment"), &deployment).expect("pods");
        let all = [
            replica_set("r1", "u", "1"),
            replica_set("r2", "another", "2"),
            replica_set("r3", "u", "2"),
        ];
        let newest = selection.within(&all).expect("the newest");
        assert_eq!(newest.owner, "r3");
        assert_eq!(newest.selector, "app=web,pod-template-hash=h-r3");
        assert_eq!(newest.revision, None);
        assert_eq!(selection.within(&all[..2]), None);
    }
}
