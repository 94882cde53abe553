//! The shape that every Kubernetes object has, and the fields that are a cluster's to set.

use serde_json::{Map, Value};

use super::{Manifest, ManifestError, Place};

/// Reads one document, which is an object or a `v1` `List` of objects.
pub(super) fn read(place: Place, document: Value) -> Result<Vec<Manifest>, ManifestError> {
    let Value::Object(mut object) = document else {
        return Err(place.error(
            "",
            "a Kubernetes object is a mapping with apiVersion, kind and metadata",
        ));
    };
    let is_list = object.get("kind").and_then(Value::as_str) == Some("List")
        && object.get("apiVersion").and_then(Value::as_str) == Some("v1");
    if !is_list {
        return Ok(vec![manifest(place, "", object)?]);
    }
    let Some(Value::Array(items)) = object.remove("items") else {
        return Err(place.error("/items", "a List has a sequence of `items`"));
    };
    let items = items.into_iter().enumerate().map(|(index, item)| {
        let pointer = format!("/items/{index}");
        let Value::Object(item) = item else {
            return Err(place.error(pointer, "each item of a List is a Kubernetes object"));
        };
        manifest(place, &pointer, item)
    });
    items.collect()
}

fn manifest(
    place: Place,
    at: &str,
    mut object: Map<String, Value>,
) -> Result<Manifest, ManifestError> {
    let api_version = text(place, at, "apiVersion", object.get("apiVersion"))?;
    if !is_api_version(&api_version) {
        return Err(place.error(
            format!("{at}/apiVersion"),
            format!(
                "`{}` is not an API version: write `v1` or `group/version`",
                shortened(&api_version)
            ),
        ));
    }
    let kind = text(place, at, "kind", object.get("kind"))?;
    if kind.len() > 63 || !kind.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(place.error(
            format!("{at}/kind"),
            format!("`{}` is not a kind", shortened(&kind)),
        ));
    }
    if kind.ends_with("List") && object.contains_key("items") {
        return Err(place.error(
            format!("{at}/kind"),
            format!("a {kind} cannot be applied: write its items as documents of their own, or as a `List` of `v1`"),
        ));
    }
    drop_empty_status(&mut object);
    if object.contains_key("status") {
        return Err(place.error(format!("{at}/status"), CLUSTERS_OWN));
    }
    let Some(Value::Object(metadata)) = object.get_mut("metadata") else {
        return Err(place.error(
            format!("{at}/metadata"),
            "metadata is missing: write at least a name",
        ));
    };
    check_metadata(place, at, metadata)?;
    let name = text(place, at, "metadata/name", metadata.get("name"))?;
    if !is_path_segment(&name) || name.len() > 253 {
        return Err(place.error(
            format!("{at}/metadata/name"),
            format!("`{}` is not a name that Kubernetes takes", shortened(&name)),
        ));
    }
    let namespace = match metadata.get("namespace") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) if name.is_empty() => None,
        Some(Value::String(name)) if is_dns_label(name) => Some(name.clone()),
        Some(_) => {
            return Err(place.error(
                format!("{at}/metadata/namespace"),
                "a namespace is 1 to 63 of a-z, 0-9 and `-`, beginning and ending with a letter or digit",
            ));
        }
    };
    Ok(Manifest {
        api_version,
        kind,
        namespace,
        name,
        object,
    })
}

const CLUSTERS_OWN: &str = "this field is the cluster's to set: remove it (exports made with `kubectl get -o yaml` carry it)";

fn check_metadata(
    place: Place,
    at: &str,
    metadata: &mut Map<String, Value>,
) -> Result<(), ManifestError> {
    if metadata.contains_key("generateName") {
        return Err(place.error(
            format!("{at}/metadata/generateName"),
            "generateName makes a new object at each apply: write a name",
        ));
    }
    // Printers of Go types write this line into every manifest; it says nothing.
    if metadata
        .get("creationTimestamp")
        .is_some_and(Value::is_null)
    {
        metadata.shift_remove("creationTimestamp");
    }
    for field in [
        "managedFields",
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "deletionTimestamp",
        "generation",
        "selfLink",
    ] {
        if metadata.contains_key(field) {
            return Err(place.error(format!("{at}/metadata/{field}"), CLUSTERS_OWN));
        }
    }
    for field in ["labels", "annotations"] {
        let pointer = format!("{at}/metadata/{field}");
        match metadata.get(field) {
            None => {}
            Some(Value::Null) => {
                metadata.shift_remove(field);
            }
            Some(Value::Object(entries)) => {
                if let Some((key, _)) = entries.iter().find(|(_, value)| !value.is_string()) {
                    return Err(place.error(
                        format!("{pointer}/{}", escape(&shortened(key))),
                        format!(
                            "the value of `{}` must be text: put it in quotes",
                            shortened(key)
                        ),
                    ));
                }
            }
            Some(_) => {
                return Err(place.error(pointer, format!("{field} are a mapping of text to text")));
            }
        }
    }
    Ok(())
}

/// Generators of definitions write a status in which nothing is said; it is left out, not refused.
fn drop_empty_status(object: &mut Map<String, Value>) {
    if object.get("status").is_some_and(says_nothing) {
        object.shift_remove("status");
    }
}

pub(super) fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.iter().all(says_nothing),
        Value::Object(fields) => fields.values().all(says_nothing),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn text(
    place: Place,
    at: &str,
    field: &str,
    value: Option<&Value>,
) -> Result<String, ManifestError> {
    match value {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        None | Some(Value::Null | Value::String(_)) => Err(place.error(
            format!("{at}/{field}"),
            format!("{} is missing", field.replace('/', ".")),
        )),
        Some(_) => Err(place.error(
            format!("{at}/{field}"),
            format!("{} must be text: put it in quotes", field.replace('/', ".")),
        )),
    }
}

/// A group of at most 253 characters, as DNS has it, and a version of at most 63; the core group is not written.
fn is_api_version(text: &str) -> bool {
    let (group, version) = text.split_once('/').unwrap_or(("core", text));
    let is_short = group.len() <= 253 && version.len() <= 63;
    is_short && is_path_segment(group) && is_path_segment(version)
}

/// The beginning of a text from outside, short enough for a message.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 80;
    text.chars().take(LONGEST).collect()
}

/// Whether a text can stand in a request's path without meaning something else there
/// (Kubernetes, `apimachinery/pkg/api/validation/path`).
fn is_path_segment(text: &str) -> bool {
    !text.is_empty()
        && text != "."
        && text != ".."
        && !text.contains(['/', '%', '?', '#'])
        && !text.contains(char::is_whitespace)
        && !text.contains(char::is_control)
}

/// Whether a text is a name as namespaces and containers have (RFC 1123 label).
pub fn is_dns_label(text: &str) -> bool {
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && bytes.iter().all(|b| alphanumeric(b) || *b == b'-')
        && bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric)
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
