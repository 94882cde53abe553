//! Fields that others set and that we leave to them, as the API server lists them (`fieldsV1`).

use serde_json::{Map, Value};

use super::STACK_LABEL;
use super::resemblance::below;

/// Fields of an object that somebody else set and that are left to them: they are not in what is applied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cession {
    /// Who has them, as people read it: the manager, and the subresource if there is one.
    pub to: String,
    /// Which they are: a `fieldsV1` of the API server. Every one of them is owned by the other, so an apply without it
    /// leaves it as it is.
    pub fields: Value,
}

impl Cession {
    /// Takes the fields out of what is to be applied; returns their paths, as far as they were in it.
    pub fn leave_out(&self, body: &mut Map<String, Value>) -> Vec<String> {
        let mut left_out = Vec::new();
        if let Value::Object(fields) = &self.fields {
            in_map("", fields, body, &mut left_out);
        }
        left_out
    }
}

/// A key of `fieldsV1`, which is a step of a path.
pub(super) enum Step<'a> {
    Field(&'a str),
    /// The item of a list that has these fields.
    Item(Map<String, Value>),
    /// The item of a set that is this value.
    Member(Value),
}

impl<'a> Step<'a> {
    /// Reads a step; none for what names the place itself, and for indices, which say nothing about another list.
    pub(super) fn of(key: &'a str) -> Option<Self> {
        match key.split_once(':')? {
            ("f", name) => Some(Self::Field(name)),
            ("k", keys) => serde_json::from_str(keys).ok().map(Self::Item),
            ("v", value) => serde_json::from_str(value).ok().map(Self::Member),
            _ => None,
        }
    }
}

fn in_map(
    path: &str,
    fields: &Map<String, Value>,
    body: &mut Map<String, Value>,
    left_out: &mut Vec<String>,
) {
    for (key, inner) in fields {
        let Some(Step::Field(name)) = Step::of(key) else {
            continue;
        };
        // Whose an object is, is not to be had.
        if path == "metadata.labels" && name == STACK_LABEL {
            continue;
        }
        let path = below(path, name);
        match (inner.as_object(), body.get_mut(name)) {
            (_, None) => {}
            (Some(inner), Some(value)) if !inner.is_empty() => {
                let was_empty = is_empty(value);
                in_value(&path, inner, value, left_out);
                // What is empty is something to own, too.
                if is_empty(value) && !was_empty {
                    body.shift_remove(name);
                }
            }
            _ => {
                body.shift_remove(name);
                left_out.push(path);
            }
        }
    }
}

fn in_value(
    path: &str,
    fields: &Map<String, Value>,
    value: &mut Value,
    left_out: &mut Vec<String>,
) {
    match value {
        Value::Object(body) => in_map(path, fields, body, left_out),
        Value::Array(items) => in_list(path, fields, items, left_out),
        _ => {}
    }
}

fn in_list(
    path: &str,
    fields: &Map<String, Value>,
    items: &mut Vec<Value>,
    left_out: &mut Vec<String>,
) {
    for (key, inner) in fields {
        match Step::of(key) {
            Some(Step::Item(keys)) => {
                let item = items.iter_mut().find_map(|item| {
                    let item = item.as_object_mut()?;
                    is_item(item, &keys).then_some(item)
                });
                let (Some(item), Some(inner)) = (item, inner.as_object()) else {
                    continue;
                };
                // Without its keys an item is another one.
                let mut inner = inner.clone();
                inner.retain(|field, _| {
                    !matches!(Step::of(field), Some(Step::Field(name)) if keys.contains_key(name))
                });
                in_map(&format!("{path}{}", named(&keys)), &inner, item, left_out);
            }
            Some(Step::Member(member)) => {
                let before = items.len();
                items.retain(|item| *item != member);
                if items.len() < before {
                    left_out.push(format!("{path}[{member}]"));
                }
            }
            _ => {}
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Whether an item of a manifest is the one with these keys. A port of a container or a service has a protocol also where
/// none is written.
pub(super) fn is_item(item: &Map<String, Value>, keys: &Map<String, Value>) -> bool {
    let is_protocol = |key: &str, value: &Value| key == "protocol" && value == "TCP";
    keys.iter().all(|(key, value)| match item.get(key) {
        Some(has) => has == value,
        None => is_protocol(key, value),
    })
}

fn named(keys: &Map<String, Value>) -> String {
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let pairs: Vec<_> = keys
        .iter()
        .map(|(key, value)| format!("{key}={}", text(value)))
        .collect();
    format!("[{}]", pairs.join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body() -> Map<String, Value> {
        let body = json!({
            "metadata": {
                "labels": {"app": "web", STACK_LABEL: "ours"},
                "finalizers": ["a/b", "c/d"],
            },
            "spec": {
                "replicas": 2,
                "template": {"spec": {"containers": [
                    {"name": "web", "image": "1", "ports": [{"containerPort": 80, "name": "http"}]},
                    {"name": "side", "image": "2"},
                ]}},
            },
        });
        body.as_object().cloned().unwrap_or_default()
    }

    fn left_out(fields: Value) -> (Vec<String>, Value) {
        let mut body = body();
        let cession = Cession {
            to: "an autoscaler".to_owned(),
            fields,
        };
        let paths = cession.leave_out(&mut body);
        (paths, body.into())
    }

    #[test]
    fn what_others_set_is_left_out_and_nothing_else() {
        let containers =
            |item: Value| json!({"f:spec": {"f:template": {"f:spec": {"f:containers": item}}}});
        let cases = [
            (
                json!({"f:spec": {"f:replicas": {}}}),
                "/spec/replicas",
                "spec.replicas",
            ),
            (
                json!({"f:metadata": {"f:labels": {".": {}, "f:app": {}}}}),
                "/metadata/labels/app",
                "metadata.labels.app",
            ),
            (
                containers(
                    json!({"k:{\"name\":\"side\"}": {".": {}, "f:name": {}, "f:image": {}}}),
                ),
                "/spec/template/spec/containers/1/image",
                "spec.template.spec.containers[name=side].image",
            ),
            (
                containers(json!({"k:{\"name\":\"web\"}": {"f:ports": {
                    "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}, "f:name": {}},
                }}})),
                "/spec/template/spec/containers/0/ports/0/name",
                "spec.template.spec.containers[name=web].ports[containerPort=80,protocol=TCP].name",
            ),
        ];
        for (fields, pointer, path) in cases {
            let mut expected: Value = body().into();
            let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
            let parent = expected.pointer_mut(parent).and_then(Value::as_object_mut);
            parent.expect("a map").shift_remove(field);
            assert_eq!(left_out(fields), (vec![path.to_owned()], expected));
        }
        let (paths, rest) = left_out(json!({"f:metadata": {"f:finalizers": {"v:\"a/b\"": {}}}}));
        assert_eq!(paths, ["metadata.finalizers[\"a/b\"]"]);
        assert_eq!(rest["metadata"]["finalizers"], json!(["c/d"]));
    }

    #[test]
    fn what_is_left_with_nothing_in_it_goes_too() {
        let mut body = json!({"data": {"a": "1"}, "metadata": {"annotations": {}}});
        let body = body.as_object_mut().expect("a map");
        let cession = Cession {
            to: "somebody".to_owned(),
            fields: json!({"f:data": {".": {}, "f:a": {}}, "f:metadata": {"f:annotations": {".": {}}}}),
        };
        assert_eq!(cession.leave_out(body), ["data.a"]);
        assert_eq!(json!(body), json!({"metadata": {"annotations": {}}}));
    }

    #[test]
    fn what_is_not_in_the_manifest_and_what_names_it_stays() {
        for fields in [
            json!({"f:spec": {"f:paused": {}, ".": {}}}),
            json!({"f:metadata": {"f:labels": {"f:brokkr.io/stack": {}}}}),
            json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {"f:name": {}}}}}}}),
            json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"new\"}": {"f:image": {}}}}}}}),
            json!({"i:0": {}, "k:nonsense": {}, "odd": {}}),
            json!("nonsense"),
        ] {
            assert_eq!(left_out(fields), (Vec::new(), body().into()));
        }
    }
}
