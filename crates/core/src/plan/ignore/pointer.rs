use std::str::FromStr;

use serde_json::{Map, Value, json};

use super::IGNORE_ANNOTATION;
use crate::plan::STACK_LABEL;

/// A JSON pointer (RFC 6901) through maps; lists are named as a whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Pointer {
    text: String,
    parents: Vec<String>,
    last: String,
}

impl FromStr for Pointer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("has `{text}`, which {why}");
        let rest = text.strip_prefix('/').ok_or_else(|| {
            wrong("is no JSON pointer: it begins with `/`, as /spec/replicas does")
        })?;
        let mut parents = Vec::new();
        for part in rest.split('/') {
            if part.is_empty() {
                return Err(wrong("has an empty part"));
            }
            if part.replace("~0", "").replace("~1", "").contains('~') {
                return Err(wrong(
                    "has a lone `~`: write `~0` for `~`, and `~1` for `/`",
                ));
            }
            parents.push(part.replace("~1", "/").replace("~0", "~"));
        }
        let last = parents.pop().unwrap_or_default();
        Ok(Self {
            text: text.to_owned(),
            parents,
            last,
        })
    }
}

impl Pointer {
    /// Refuses what cannot be ignored in a manifest.
    pub(super) fn fit(&self, manifest: &Map<String, Value>) -> Result<(), String> {
        let wrong = |why: &str| Err(format!("has `{}`, which {why}", self.text));
        let keys: Vec<_> = self.keys().collect();
        match keys.as_slice() {
            ["apiVersion" | "kind", ..] => return wrong("says what the object is"),
            ["metadata", "labels", STACK_LABEL] => return wrong("says whose the object is"),
            ["metadata", "annotations", IGNORE_ANNOTATION] => {
                return wrong("is this annotation itself");
            }
            ["metadata", "labels" | "annotations", _] => {}
            ["metadata", ..] => {
                return wrong(
                    "cannot be ignored: of the metadata, single labels and annotations can, as /metadata/labels/team",
                );
            }
            _ => {}
        }
        if self.leads_into_list(manifest) {
            return wrong("leads into a list: name the whole list");
        }
        Ok(())
    }

    fn leads_into_list(&self, manifest: &Map<String, Value>) -> bool {
        let mut place = manifest;
        for key in &self.parents {
            match place.get(key) {
                Some(Value::Object(inner)) => place = inner,
                other => return matches!(other, Some(Value::Array(_))),
            }
        }
        false
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        let last = std::iter::once(self.last.as_str());
        self.parents.iter().map(String::as_str).chain(last)
    }

    /// Enters the field into a `fieldsV1`.
    pub(super) fn enter(&self, fields: &mut Value) {
        let mut place = fields;
        for key in &self.parents {
            place = &mut place[format!("f:{key}")];
            // A map that is ignored holds this field.
            if place.as_object().is_some_and(Map::is_empty) {
                return;
            }
        }
        place[format!("f:{}", self.last)] = json!({});
    }

    /// The field's value.
    pub(super) fn find<'a>(&self, object: &'a Value) -> Option<&'a Value> {
        let step = |value: &'a Value, key| value.as_object()?.get(key);
        self.keys().try_fold(object, step)
    }

    /// What a `fieldsV1` says below the field.
    pub(super) fn descend<'a>(&self, fields: &'a Value) -> Option<&'a Map<String, Value>> {
        let step = |fields: &'a Value, key| fields.get(format!("f:{key}"));
        self.keys().try_fold(fields, step)?.as_object()
    }

    /// Whether a `fieldsV1` has something as a whole in which the field is.
    pub(super) fn is_below_leaf(&self, fields: &Value) -> bool {
        let mut place = fields;
        for key in &self.parents {
            match place.get(format!("f:{key}")) {
                Some(next) if next.as_object().is_some_and(Map::is_empty) => return true,
                Some(next) => place = next,
                None => return false,
            }
        }
        false
    }

    /// Sets the field, with the maps in which it is.
    pub(super) fn put(&self, body: &mut Map<String, Value>, value: Value) {
        let mut place = body;
        for key in &self.parents {
            let next = place.entry(key.clone()).or_insert_with(|| json!({}));
            let Some(next) = next.as_object_mut() else {
                return;
            };
            place = next;
        }
        place.insert(self.last.clone(), value);
    }
}
