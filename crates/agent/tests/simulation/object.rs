//! An object as the API server keeps it: its fields one by one, and who set which.

use std::collections::{BTreeMap, BTreeSet};

use brokkr_core::StackId;
use brokkr_core::plan::FIELD_MANAGER;
use serde_json::{Map, Value, json};

/// Fields by JSON pointer; lists are one field.
pub type Fields = BTreeMap<String, Value>;

/// Where the API server serves an object.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    pub api_version: String,
    pub plural: String,
    pub namespace: Option<String>,
    pub name: String,
}

/// Who made an object, which the agent cannot see: it must find out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Maker {
    /// The agent, for a stack.
    Stack(StackId),
    /// The agent, for itself.
    Agent,
    Stranger,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Object {
    pub uid: String,
    pub version: u64,
    pub fields: Fields,
    /// The fields of each manager and operation.
    pub managers: BTreeMap<(String, &'static str), BTreeSet<String>>,
    pub finalizers: Vec<String>,
    pub deleting: bool,
    pub maker: Maker,
    /// A stranger changed it since the agent last wrote it.
    pub is_meddled_with: bool,
    /// It was taken over by a write that changed nothing, so that nobody can tell whether it was.
    pub is_taken_as_it_was: bool,
    /// The second in which the agent's apply last changed it.
    pub applied_at: Option<u64>,
}

impl Object {
    pub fn label(&self) -> Option<&str> {
        self.fields.get(LABEL)?.as_str()
    }

    /// The fields that the agent's applies have set.
    pub fn set_by_us(&self) -> impl Iterator<Item = &String> {
        let us = (FIELD_MANAGER.to_owned(), "Apply");
        self.managers.get(&us).into_iter().flatten()
    }

    pub fn asks_to_stay(&self) -> bool {
        self.fields
            .get(PRUNE)
            .is_some_and(|value| value == "disabled")
    }

    /// Server-side apply with `force`; whether it changed anything. `now` is in seconds.
    pub fn apply(&mut self, manager: &str, body: &Map<String, Value>, now: u64) -> bool {
        let before = (self.fields.clone(), self.managers.clone());
        let wanted = fields_of(body);
        let me = (manager.to_owned(), "Apply");
        let had = self.managers.remove(&me).unwrap_or_default();
        for field in had.iter().filter(|field| !wanted.contains_key(*field)) {
            if !self.managers.values().any(|theirs| theirs.contains(field)) {
                self.fields.remove(field);
            }
        }
        for (field, value) in &wanted {
            if self.fields.insert(field.clone(), value.clone()).as_ref() != Some(value) {
                self.leave_to_nobody(field);
            }
        }
        self.managers.insert(me, wanted.into_keys().collect());
        self.is_meddled_with = false;
        let is_changed = before != (self.fields.clone(), self.managers.clone());
        if is_changed {
            self.is_taken_as_it_was = false;
            self.applied_at = Some(now);
        }
        is_changed
    }

    /// Somebody's update of one field, which is theirs from now on.
    pub fn edit(&mut self, manager: &str, field: &str, value: Option<Value>) {
        self.is_meddled_with = true;
        self.leave_to_nobody(field);
        match value {
            None => drop(self.fields.remove(field)),
            Some(value) => {
                self.fields.insert(field.to_owned(), value);
                let me = (manager.to_owned(), "Update");
                self.managers
                    .entry(me)
                    .or_default()
                    .insert(field.to_owned());
            }
        }
    }

    fn leave_to_nobody(&mut self, field: &str) {
        for theirs in self.managers.values_mut() {
            theirs.remove(field);
        }
        self.managers.retain(|_, theirs| !theirs.is_empty());
    }

    pub fn render(&self, place: &Place, kind: &str) -> Value {
        let mut whole = json!({ "apiVersion": place.api_version, "kind": kind, "metadata": {} });
        for (field, value) in &self.fields {
            put(&mut whole, field, value.clone());
        }
        let managers = self.managers.iter().map(|((manager, operation), fields)| {
            let fields: Map<_, _> = fields.iter().map(|f| (f.clone(), json!({}))).collect();
            json!({
                "manager": manager, "operation": operation, "apiVersion": place.api_version,
                "fieldsType": "FieldsV1", "fieldsV1": fields,
                "time": self.applied_at.filter(|_| *operation == "Apply").map(|at| at.to_string()),
            })
        });
        let managers: Vec<_> = managers.collect();
        if let Some(metadata) = whole["metadata"].as_object_mut() {
            metadata.insert("name".into(), json!(place.name));
            metadata.insert("uid".into(), json!(self.uid));
            metadata.insert("resourceVersion".into(), json!(self.version.to_string()));
            metadata.insert("managedFields".into(), json!(managers));
            if let Some(namespace) = &place.namespace {
                metadata.insert("namespace".into(), json!(namespace));
            }
            if !self.finalizers.is_empty() {
                metadata.insert("finalizers".into(), json!(self.finalizers));
            }
            if self.deleting {
                metadata.insert("deletionTimestamp".into(), json!("2026-01-01T00:00:00Z"));
            }
        }
        whole
    }
}

pub const LABEL: &str = "/metadata/labels/brokkr.io~1stack";
pub const RECREATE: &str = "/metadata/annotations/brokkr.io~1recreate";
pub const PRUNE: &str = "/metadata/annotations/brokkr.io~1prune";

/// What a body sets; not which object it is, nor in which state it must be.
pub fn fields_of(body: &Map<String, Value>) -> Fields {
    let mut fields = Fields::new();
    for (key, value) in body {
        match key.as_str() {
            "apiVersion" | "kind" => {}
            "metadata" => {
                for part in ["labels", "annotations"] {
                    if let Some(value) = value.get(part) {
                        flatten(&format!("/metadata/{part}"), value, &mut fields);
                    }
                }
            }
            _ => flatten(&format!("/{}", escape(key)), value, &mut fields),
        }
    }
    fields
}

fn flatten(pointer: &str, value: &Value, fields: &mut Fields) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                flatten(&format!("{pointer}/{}", escape(key)), value, fields);
            }
        }
        other => drop(fields.insert(pointer.to_owned(), other.clone())),
    }
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn put(whole: &mut Value, pointer: &str, value: Value) {
    let mut at = whole;
    for key in pointer.split('/').skip(1) {
        let key = key.replace("~1", "/").replace("~0", "~");
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[key];
    }
    *at = value;
}
