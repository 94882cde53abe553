use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use brokkr_core::ObjectKey;
use brokkr_core::manifest::{self, Manifest};
use brokkr_core::plan::{Fingerprint, Ignored, Phase, STACK_LABEL};
use brokkr_core::wire::{ObjectOutcome, ObjectResult, TargetStack};
use serde_json::{Map, Value, json};

use super::definition::Definitions;
use super::needs;
use super::own::OwnNamespace;
use crate::cluster::{Cluster, Kinds, MissingKind, Resource, Scope};
use crate::{Environment, Error};

/// Where objects go that name no namespace, in a stack that names none either; as `kubectl` does.
const LAST_RESORT_NAMESPACE: &str = "default";
/// How old the knowledge of kinds may be while every kind is known.
const KINDS_AGE: Duration = Duration::from_mins(10);
/// How old it may be when one is not: definitions come in bursts, so not each asks anew.
const KINDS_AGE_IF_MISSING: Duration = Duration::from_secs(3);

/// So many bytes are read in less time than it takes to ask a thread for it.
const SHORT: usize = 16 * 1024;

/// A deployment object as this cluster understands it.
pub(crate) struct Snapshot {
    pub objects: Vec<Object>,
    /// The namespace to make if it is missing, and where namespaces are; none if an object is that namespace.
    pub namespace: Option<(ObjectKey, Resource)>,
}

/// One object of a snapshot, ready to be sent.
pub(crate) struct Object {
    pub key: ObjectKey,
    pub resource: Resource,
    pub phase: Phase,
    /// With our label and its namespace.
    pub body: Map<String, Value>,
    pub fingerprint: Fingerprint,
    /// The objects that must be there first, as far as a server refuses this one without them.
    pub needs: Vec<ObjectKey>,
    pub served: Served,
    /// What is left as it is once the object was created.
    pub ignored: Option<Ignored>,
}

/// Why a content cannot be applied here.
pub(crate) struct Unfit {
    /// Each object that is refused, and why.
    pub objects: Vec<ObjectOutcome>,
    /// Kinds that somebody else may bring yet.
    pub missing: Vec<MissingKind>,
}

/// Whether the cluster serves the object's kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Served {
    Already,
    /// Once a definition of the same snapshot is there.
    ByDefinition,
}

/// Reads a content; or says why it cannot be applied here.
pub(crate) async fn read(
    cluster: &Cluster,
    own: OwnNamespace<'_>,
    environment: &Arc<Environment>,
    entry: &TargetStack,
    text: &Arc<str>,
) -> Result<Result<Snapshot, Unfit>, Error> {
    let manifests = parse(text, entry.default_namespace.as_deref()).await?;
    let definitions = Definitions::of(&manifests);
    let mut kinds = cluster.kinds(KINDS_AGE).await?;
    let is_known = |m: &Manifest| kinds.get(m.group(), &m.kind, &m.api_version).is_some();
    if !manifests.iter().all(is_known) {
        kinds = cluster.kinds(KINDS_AGE_IF_MISSING).await?;
    }
    let resolver = Resolver {
        kinds: &kinds,
        definitions: &definitions,
        own,
        default_namespace: entry.default_namespace.as_deref(),
        creates_namespace: entry.create_namespace,
        stack: entry.stack.to_string(),
    };
    let snapshot = match resolver.resolve(manifests) {
        Ok(snapshot) => snapshot,
        Err(unfit) => return Ok(Err(unfit)),
    };
    let allowed = environment.allow(cluster, entry, snapshot).await?;
    Ok(allowed.map_err(|objects| Unfit {
        objects,
        missing: Vec::new(),
    }))
}

/// Reads a content's objects, beside other work if it is long.
pub(crate) async fn parse(
    text: &Arc<str>,
    namespace: Option<&str>,
) -> Result<Vec<Manifest>, Error> {
    if text.len() <= SHORT {
        return Ok(manifest::parse(text, namespace)?);
    }
    let (text, namespace) = (text.clone(), namespace.map(str::to_owned));
    // A content may have 16 MiB; other stacks go on meanwhile.
    tokio::task::spawn_blocking(move || Ok(manifest::parse(&text, namespace.as_deref())?))
        .await
        .map_err(|error| Error::Unreadable(error.to_string()))?
}

struct Resolver<'a> {
    kinds: &'a Kinds,
    definitions: &'a Definitions,
    own: OwnNamespace<'a>,
    default_namespace: Option<&'a str>,
    creates_namespace: bool,
    stack: String,
}

impl Resolver<'_> {
    fn resolve(&self, manifests: Vec<Manifest>) -> Result<Snapshot, Unfit> {
        let mut objects = Vec::with_capacity(manifests.len());
        let mut refused = Vec::new();
        let mut missing = Vec::new();
        let mut seen = HashSet::new();
        for manifest in manifests {
            let key = manifest.key(self.default_namespace);
            let object = match self.object(manifest) {
                Ok(object) => object,
                Err(flaw) => {
                    refused.push(invalid(key, flaw.reason));
                    missing.extend(flaw.missing);
                    continue;
                }
            };
            if !seen.insert(object.key.clone()) {
                refused.push(invalid(
                    object.key,
                    "it stands in the snapshot twice: keep one of them",
                ));
            } else if let Some(reason) = self.own.refusal(&object.key) {
                refused.push(invalid(object.key, reason));
            } else {
                objects.push(object);
            }
        }
        let namespace = self.namespace().filter(|(key, _)| seen.insert(key.clone()));
        if let Some((key, _)) = &namespace
            && let Some(reason) = self.own.refusal(key)
        {
            refused.push(invalid(key.clone(), reason));
        }
        if !refused.is_empty() {
            return Err(Unfit {
                objects: refused,
                missing,
            });
        }
        needs::keep_those_in(&mut objects, &seen);
        Ok(Snapshot { objects, namespace })
    }

    /// The namespace that the stack wants to exist.
    fn namespace(&self) -> Option<(ObjectKey, Resource)> {
        let name = self.default_namespace.filter(|_| self.creates_namespace)?;
        let resource = Resource::new("", "v1", "namespaces");
        Some((needs::namespace_key(name), resource))
    }

    fn object(&self, mut manifest: Manifest) -> Result<Object, Flaw> {
        let (resource, scope, served) = self.served(&manifest)?;
        let namespace = match scope {
            Scope::ClusterWide => None,
            Scope::Namespaced => Some(
                manifest
                    .namespace
                    .as_deref()
                    .or(self.default_namespace)
                    .unwrap_or(LAST_RESORT_NAMESPACE)
                    .to_owned(),
            ),
        };
        manifest.namespace.clone_from(&namespace);
        let key = manifest.key(None);
        let ignored = Ignored::of(&manifest.object)?;
        let mut body = manifest.object;
        mark(&mut body, &self.stack, namespace);
        let needs = needs::of(&key, &body, self.definitions);
        Ok(Object {
            phase: Phase::of(&key),
            fingerprint: Fingerprint::of(Value::Object(body.clone()).to_string().as_bytes()),
            key,
            resource,
            body,
            needs,
            served,
            ignored,
        })
    }

    fn served(&self, manifest: &Manifest) -> Result<(Resource, Scope, Served), Flaw> {
        let (group, kind, api_version) = (manifest.group(), &manifest.kind, &manifest.api_version);
        if let Some((resource, scope)) = self.kinds.get(group, kind, api_version) {
            return Ok((resource, scope, Served::Already));
        }
        if let Some((resource, scope)) = self.definitions.get(group, kind, manifest.version()) {
            return Ok((resource, scope, Served::ByDefinition));
        }
        let reason = match self.kinds.versions(group, kind).first() {
            Some((other, _)) => format!(
                "this cluster has no {kind} of {api_version}: it serves {}",
                other.api_version
            ),
            None => format!(
                "this cluster has no kind {kind} of {api_version}: install its definition first, or add it to the stack"
            ),
        };
        let missing = MissingKind {
            group: group.to_owned(),
            kind: kind.clone(),
            api_version: api_version.clone(),
        };
        Err(Flaw {
            reason,
            missing: Some(missing),
        })
    }
}

/// Why an object cannot be applied here.
struct Flaw {
    reason: String,
    /// The kind that it lacks.
    missing: Option<MissingKind>,
}

impl From<String> for Flaw {
    fn from(reason: String) -> Self {
        Self {
            reason,
            missing: None,
        }
    }
}

fn invalid(object: ObjectKey, reason: impl Into<String>) -> ObjectOutcome {
    ObjectOutcome {
        object,
        result: ObjectResult::Invalid,
        reason: Some(reason.into()),
    }
}

/// Puts our label and the namespace into an object's metadata.
fn mark(body: &mut Map<String, Value>, stack: &str, namespace: Option<String>) {
    let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    match namespace {
        Some(namespace) => metadata.insert("namespace".to_owned(), namespace.into()),
        None => metadata.shift_remove("namespace"),
    };
    let labels = metadata.entry("labels").or_insert_with(|| json!({}));
    labels[STACK_LABEL] = stack.into();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_the_object_and_nothing_inside_it() {
        let mut body = json!({
            "metadata": {"name": "a", "namespace": "x", "labels": {"app": "a"}},
            "spec": {"template": {"metadata": {"labels": {"app": "a"}}}},
        });
        let body = body.as_object_mut().expect("an object");
        mark(body, "stack-id", Some("shop".to_owned()));
        assert_eq!(
            Value::Object(body.clone()),
            json!({
                "metadata": {
                    "name": "a",
                    "namespace": "shop",
                    "labels": {"app": "a", STACK_LABEL: "stack-id"},
                },
                "spec": {"template": {"metadata": {"labels": {"app": "a"}}}},
            })
        );
        mark(body, "stack-id", None);
        assert!(body["metadata"].get("namespace").is_none());
    }
}
