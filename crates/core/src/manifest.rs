//! Reading a snapshot: one multi-document YAML text into Kubernetes objects, or a refusal that
//! says where and why.
//!
//! Broker and agent read with the same code: what the broker accepted, the agent understands.
//! `List` documents of `v1` are flattened, as `kubectl` does; documents that hold nothing are skipped.

mod cost;
mod node;
mod reading;
mod shape;
mod yaml;

use serde_json::{Map, Value};

use crate::object::ObjectKey;

pub use cost::Cost;
use reading::Reading;
pub use shape::is_dns_label;

/// The largest snapshot, in bytes of YAML.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;
/// The most objects in one snapshot.
pub const MAX_OBJECTS: usize = 5_000;
/// The most values in one snapshot, with the names of fields. The largest real ones (2 MB of definitions) need a tenth.
const MAX_NODES: usize = 2_000_000;
/// How deep a document may be.
const MAX_DEPTH: usize = 64;

/// One Kubernetes object of a snapshot, without what only a cluster may set.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Group and version, as `apps/v1` or `v1`.
    pub api_version: String,
    /// The kind.
    pub kind: String,
    /// The namespace as written; none leaves it to the stack's default.
    pub namespace: Option<String>,
    /// The object's name.
    pub name: String,
    /// The whole object.
    pub object: Map<String, Value>,
}

impl Manifest {
    /// The API group; empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version
            .split_once('/')
            .map_or("", |(group, _)| group)
    }

    /// The API version without its group.
    pub fn version(&self) -> &str {
        self.api_version
            .split_once('/')
            .map_or(&self.api_version, |(_, version)| version)
    }

    /// The object's identity as far as the text tells it: a namespace that is not written is the
    /// default one, also for kinds that will turn out to have none.
    pub fn key(&self, default_namespace: Option<&str>) -> ObjectKey {
        ObjectKey {
            group: self.group().to_owned(),
            kind: self.kind.clone(),
            namespace: self
                .namespace
                .as_deref()
                .or(default_namespace)
                .map(str::to_owned),
            name: self.name.clone(),
        }
    }
}

/// Why a snapshot is refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", self.place())]
pub struct ManifestError {
    /// What is wrong and what to do.
    pub reason: String,
    /// Which document of the text, from 1.
    pub document: Option<usize>,
    /// JSON Pointer into that document.
    pub pointer: Option<String>,
    /// Line of the text, from 1.
    pub line: Option<u64>,
    /// Column of that line, from 1.
    pub column: Option<u64>,
}

impl ManifestError {
    fn whole(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            document: None,
            pointer: None,
            line: None,
            column: None,
        }
    }

    fn place(&self) -> String {
        match (self.document, self.line, self.column) {
            (Some(document), Some(line), _) => format!("document {document} (line {line}): "),
            (None, Some(line), Some(column)) => format!("line {line}, column {column}: "),
            _ => String::new(),
        }
    }
}

/// Reads a snapshot.
///
/// # Errors
/// The first thing that makes the text no snapshot: its size, its YAML, an object's shape, an
/// object that stands in it twice.
pub fn parse(text: &str, default_namespace: Option<&str>) -> Result<Vec<Manifest>, ManifestError> {
    read::<true>(text, default_namespace)
}

/// The keys of a snapshot's objects. It refuses what [`parse`] refuses, and holds one document at a time: [`Cost`] tells what that takes.
///
/// # Errors
/// As [`parse`].
pub fn keys(text: &str, default_namespace: Option<&str>) -> Result<Vec<ObjectKey>, ManifestError> {
    let manifests = read::<false>(text, default_namespace)?;
    Ok(manifests
        .iter()
        .map(|manifest| manifest.key(default_namespace))
        .collect())
}

fn read<const WHOLE: bool>(
    text: &str,
    default_namespace: Option<&str>,
) -> Result<Vec<Manifest>, ManifestError> {
    if text.len() > MAX_BYTES {
        return Err(ManifestError::whole(format!(
            "the manifests have {} bytes, more than the {MAX_BYTES} that a stack may have: split the stack",
            text.len()
        )));
    }
    let manifests = yaml::read::<Reading<WHOLE>, WHOLE>(text)?.finish()?;
    if manifests.is_empty() {
        return Err(ManifestError::whole(
            "there is no object in the manifests, and nothing was changed: what runs is removed with `brokkr stack delete` or `brokkr stack untarget`, never by an empty list",
        ));
    }
    refuse_duplicates(&manifests, default_namespace)?;
    Ok(manifests
        .into_iter()
        .map(|(_, manifest)| manifest)
        .collect())
}

/// Where a document stands in the text.
#[derive(Debug, Clone, Copy)]
struct Place {
    document: usize,
    line: u64,
}

impl Place {
    fn error(self, pointer: impl Into<String>, reason: impl Into<String>) -> ManifestError {
        ManifestError {
            reason: reason.into(),
            document: Some(self.document),
            pointer: Some(pointer.into()),
            line: Some(self.line),
            column: None,
        }
    }
}

fn refuse_duplicates(
    manifests: &[(Place, Manifest)],
    default_namespace: Option<&str>,
) -> Result<(), ManifestError> {
    let mut seen = std::collections::HashMap::with_capacity(manifests.len());
    for (place, manifest) in manifests {
        let key = manifest.key(default_namespace);
        let message =
            |first: usize| format!("{key} stands in document {first} already: keep one of them");
        if let Some(first) = seen.insert(key.clone(), place.document) {
            return Err(place.error("/metadata/name", message(first)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
