//! Fields that are anybody's once their object was created, because its manifest says so.
//!
//! An apply that leaves out a field which nobody else has set deletes it. So what is ours of such fields is sent with the
//! value that it has, and only what others set is left out.

mod pointer;

use serde_json::{Map, Value, json};

use super::FIELD_MANAGER;
use super::fields::{Cession, Step, is_item};
use crate::mutant::Mutant;
use pointer::Pointer;

/// Names fields that are left as they are in the cluster: JSON pointers, with commas or line breaks between them.
pub const IGNORE_ANNOTATION: &str = "brokkr.io/ignore-fields";
/// Who needs more ignores a map that holds them.
const MOST: usize = 100;

/// The fields of a manifest that are ignored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ignored {
    pointers: Vec<Pointer>,
    cession: Cession,
}

impl Ignored {
    /// What a manifest asks to ignore; none if it asks for nothing.
    ///
    /// # Errors
    /// Why its annotation makes no sense.
    pub fn of(manifest: &Map<String, Value>) -> Result<Option<Self>, String> {
        let annotations = manifest.get("metadata").and_then(|m| m.get("annotations"));
        let asked =
            annotations.and_then(|annotations| annotations.get(IGNORE_ANNOTATION)?.as_str());
        let Some(asked) = asked else {
            return Ok(None);
        };
        let wrong = |reason: String| format!("the annotation {IGNORE_ANNOTATION} {reason}");
        let texts: Vec<_> = asked
            .split([',', '\n'])
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .collect();
        if texts.is_empty() {
            return Err(wrong(
                "names no field: write JSON pointers, such as /spec/replicas, or leave it out"
                    .to_owned(),
            ));
        }
        if texts.len() > MOST {
            return Err(wrong(format!(
                "names more than {MOST} fields: name the maps that hold them"
            )));
        }
        let mut pointers = Vec::with_capacity(texts.len());
        for text in texts {
            let pointer: Pointer = text.parse().map_err(wrong)?;
            pointer.fit(manifest).map_err(wrong)?;
            pointers.push(pointer);
        }
        let mut fields = json!({});
        for pointer in &pointers {
            pointer.enter(&mut fields);
        }
        Ok(Some(Self {
            pointers,
            cession: Cession {
                to: format!("anybody ({IGNORE_ANNOTATION})"),
                fields,
            },
        }))
    }

    /// The fields, as something that is left to others.
    pub const fn cession(&self) -> &Cession {
        &self.cession
    }

    /// Puts what is ours of the fields, as it is now, into an object from which they were left out.
    pub fn keep(&self, live: &Value, body: &mut Map<String, Value>) {
        if Mutant::IgnoredForgotten.is_on() {
            return;
        }
        for pointer in &self.pointers {
            if let Some(value) = pointer.find(live)
                && let Some(ours) = ours(pointer, live, value)
            {
                pointer.put(body, ours);
            }
        }
    }
}

/// How much of a live value has to be sent so that it stays.
fn ours(pointer: &Pointer, live: &Value, value: &Value) -> Option<Value> {
    let managers = live.pointer("/metadata/managedFields")?.as_array()?;
    let fields = |manager: &Value| manager.get("fieldsV1").cloned().unwrap_or_default();
    // It is inside of something that is set as a whole, by whomever.
    if managers
        .iter()
        .any(|manager| pointer.is_below_leaf(&fields(manager)))
    {
        return Some(value.clone());
    }
    let says = |manager: &Value, field: &str, text: &str| {
        manager
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
            == text
    };
    let us = managers.iter().find(|manager| {
        says(manager, "manager", FIELD_MANAGER)
            && says(manager, "operation", "Apply")
            && says(manager, "subresource", "")
    })?;
    // What was ours in another version of the kind cannot be told in this one.
    if us.get("apiVersion") != live.get("apiVersion") {
        return Some(value.clone());
    }
    part(pointer.descend(&fields(us))?, value)
}

/// The part of a value that a `fieldsV1` names.
fn part(fields: &Map<String, Value>, value: &Value) -> Option<Value> {
    if fields.is_empty() {
        return Some(value.clone());
    }
    match value {
        Value::Object(map) => part_of_map(fields, map).map(Value::Object),
        Value::Array(items) => {
            let parts = items.iter().filter_map(|item| part_of_item(fields, item));
            let parts: Vec<_> = parts.collect();
            (!parts.is_empty() || fields.contains_key(".")).then(|| parts.into())
        }
        _ => Some(value.clone()),
    }
}

fn part_of_map(
    fields: &Map<String, Value>,
    map: &Map<String, Value>,
) -> Option<Map<String, Value>> {
    let mut parts = Map::new();
    for (key, inner) in fields {
        if let (Some(Step::Field(name)), Some(inner)) = (Step::of(key), inner.as_object())
            && let Some(value) = map.get(name)
            && let Some(part) = part(inner, value)
        {
            parts.insert(name.to_owned(), part);
        }
    }
    (!parts.is_empty() || fields.contains_key(".")).then_some(parts)
}

fn part_of_item(fields: &Map<String, Value>, item: &Value) -> Option<Value> {
    fields.iter().find_map(|(key, inner)| match Step::of(key)? {
        Step::Member(member) => (member == *item).then(|| item.clone()),
        Step::Item(keys) => {
            let map = item.as_object().filter(|map| is_item(map, &keys))?;
            let inner = inner.as_object()?;
            if inner.is_empty() {
                return Some(item.clone());
            }
            // Without its keys an item is another one.
            let mut part = part_of_map(inner, map).unwrap_or_default();
            part.extend(keys);
            Some(part.into())
        }
        Step::Field(_) => None,
    })
}

#[cfg(test)]
mod tests;
