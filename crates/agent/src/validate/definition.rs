use std::collections::HashMap;

use brokkr_core::ObjectKey;
use brokkr_core::manifest::Manifest;
use serde_json::{Map, Value};

use crate::cluster::{Resource, Scope};

/// The kinds that a snapshot defines itself.
#[derive(Default)]
pub(super) struct Definitions(HashMap<(String, String), Definition>);

struct Definition {
    key: ObjectKey,
    plural: String,
    scope: Scope,
    versions: Vec<String>,
}

impl Definitions {
    pub(super) fn of(manifests: &[Manifest]) -> Self {
        let definitions = manifests.iter().filter(|m| {
            m.group() == "apiextensions.k8s.io" && m.kind == "CustomResourceDefinition"
        });
        Self(definitions.filter_map(definition).collect())
    }

    /// Where objects of the kind will be, once it is defined.
    pub(super) fn get(&self, group: &str, kind: &str, version: &str) -> Option<(Resource, Scope)> {
        let definition = self.0.get(&(group.to_owned(), kind.to_owned()))?;
        definition.versions.iter().any(|v| v == version).then(|| {
            let resource = Resource::new(group, version, &definition.plural);
            (resource, definition.scope)
        })
    }

    /// The definition of a kind.
    pub(super) fn key(&self, group: &str, kind: &str) -> Option<&ObjectKey> {
        let definition = self.0.get(&(group.to_owned(), kind.to_owned()))?;
        Some(&definition.key)
    }
}

fn definition(manifest: &Manifest) -> Option<((String, String), Definition)> {
    let spec = manifest.object.get("spec")?.as_object()?;
    let names = spec.get("names")?.as_object()?;
    let versions = spec.get("versions")?.as_array()?;
    let served = versions
        .iter()
        .filter(|version| version.get("served").and_then(Value::as_bool) == Some(true));
    let scope = match text(spec, "scope")? {
        "Namespaced" => Scope::Namespaced,
        _ => Scope::ClusterWide,
    };
    let kind = (
        text(spec, "group")?.to_owned(),
        text(names, "kind")?.to_owned(),
    );
    let definition = Definition {
        key: ObjectKey {
            namespace: None,
            ..manifest.key(None)
        },
        plural: text(names, "plural")?.to_owned(),
        scope,
        versions: served
            .filter_map(|version| Some(version.get("name")?.as_str()?.to_owned()))
            .collect(),
    };
    Some((kind, definition))
}

fn text<'a>(object: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    object.get(field)?.as_str()
}
