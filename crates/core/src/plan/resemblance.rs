use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::STACK_LABEL;

/// A message names so many fields; the first few say enough.
const NAMED: usize = 5;

/// The fields in which an object and what an apply would make of it differ, apart from those by which the cluster and
/// we tell whose it is and which state it is in. At most five.
pub fn differences(before: &Value, after: &Value) -> Vec<String> {
    let found = all_differences(before, after).into_iter().take(NAMED);
    found.map(|difference| difference.path).collect()
}

/// A field in which two objects differ; a value that is `null` is none.
#[derive(Clone, PartialEq, Debug)]
pub struct Difference {
    /// Which field.
    pub path: String,
    /// Its value in the first one.
    pub before: Value,
    /// Its value in the other one.
    pub after: Value,
}

/// The same fields as [`differences`], all of them, and their values.
pub fn all_differences(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(
        "",
        &without_marks(before),
        &without_marks(after),
        &mut found,
    );
    found
}

fn without_marks(object: &Value) -> Value {
    let mut object = object.clone();
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        return object;
    };
    for field in ["managedFields", "resourceVersion", "generation"] {
        metadata.remove(field);
    }
    if let Some(Value::Object(labels)) = metadata.get_mut("labels") {
        labels.remove(STACK_LABEL);
        if labels.is_empty() {
            metadata.remove("labels");
        }
    }
    object
}

fn compare(path: &str, before: &Value, after: &Value, found: &mut Vec<Difference>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for key in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
                compare(&below(path, key), of(before, key), of(after, key), found);
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (index, (before, after)) in before.iter().zip(after).enumerate() {
                compare(&format!("{path}[{index}]"), before, after, found);
            }
        }
        _ => found.push(Difference {
            path: path.to_owned(),
            before: before.clone(),
            after: after.clone(),
        }),
    }
}

fn of<'a>(object: &'a Map<String, Value>, key: &str) -> &'a Value {
    object.get(key).unwrap_or(&Value::Null)
}

/// The path of a field, with keys that have dots in quotes.
pub(super) fn below(path: &str, key: &str) -> String {
    let is_plain = |c: char| !matches!(c, '.' | '[' | ']' | '"' | ',' | '=') && !c.is_whitespace();
    match (path.is_empty(), key.chars().all(is_plain)) {
        (true, true) => key.to_owned(),
        (false, true) => format!("{path}.{key}"),
        (_, false) => format!("{path}[\"{key}\"]"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whose_an_object_is_makes_no_difference_and_everything_else_does() {
        let before = json!({
            "metadata": {"name": "a", "uid": "1", "resourceVersion": "7", "generation": 1, "managedFields": [{}]},
            "data": {"a": "1"},
        });
        let mut after = before.clone();
        after["metadata"]["resourceVersion"] = "8".into();
        after["metadata"]["generation"] = 2.into();
        after["metadata"]["managedFields"] = json!([{}, {"manager": "brokkr"}]);
        after["metadata"]["labels"] = json!({STACK_LABEL: "ours"});
        assert!(differences(&before, &after).is_empty());
        let cases = [
            (
                "/metadata/labels",
                json!({STACK_LABEL: "ours", "app": "a"}),
                "metadata.labels",
            ),
            ("/metadata/uid", json!("2"), "metadata.uid"),
            ("/data/a", json!("2"), "data.a"),
            ("/data", json!({"a": "1", "b.c": ["x"]}), "data[\"b.c\"]"),
            ("/data", Value::Null, "data"),
        ];
        for (pointer, value, path) in cases {
            let mut other = after.clone();
            *other.pointer_mut(pointer).expect("a field") = value;
            assert_eq!(differences(&before, &other), [path]);
        }
        let list = |image: &str| json!({"spec": {"containers": [{"name": "a"}, {"image": image}]}});
        assert_eq!(
            differences(&list("1"), &list("2")),
            ["spec.containers[1].image"]
        );
        let many = |value: i32| -> Value { (0..9).map(|i| (format!("f{i}"), value)).collect() };
        assert_eq!(differences(&many(1), &many(2)).len(), NAMED);
    }
}
