use std::collections::BTreeMap;

use brokkr_core::ObjectKey;
use brokkr_core::mutant::Mutant;
use brokkr_core::plan::{
    Cession, FIELD_MANAGER, Fingerprint, HELM_POLICY_ANNOTATION, Incarnation, Live,
    PRUNE_ANNOTATION, STACK_LABEL,
};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, Request};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::send::DRY_RUN;
use super::{Cluster, Resource};
use crate::Error;

pub(super) const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// Whether an apply is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Write {
    /// The server judges it and forgets it.
    DryRun,
    /// It happens.
    ForReal,
}

impl Cluster {
    /// Reads what is known of an object without its content; none if there is no such object.
    pub(crate) async fn find(
        &self,
        resource: &Resource,
        key: &ObjectKey,
    ) -> Result<Option<Live>, Error> {
        let answer = self.ask(&resource.object(key), METADATA).await;
        let partial: Option<Partial> = found(key, answer)?.map(|body| read(&body)).transpose()?;
        Ok(partial.map(|partial| self.live(partial)))
    }

    /// What others set of an object, and who; not what they did by a subresource, which is theirs.
    pub(crate) async fn others(
        &self,
        resource: &Resource,
        key: &ObjectKey,
    ) -> Result<Vec<Cession>, Error> {
        let partial: Partial = read(&self.ask(&resource.object(key), METADATA).await?)?;
        let fields = partial.metadata.managed_fields.iter();
        let others = fields.filter(|fields| !fields.is_ours() && fields.subresource.is_empty());
        Ok(others.filter_map(ManagedFields::cession).collect())
    }

    /// Reads a whole object; none if there is no such object.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        resource: &Resource,
        key: &ObjectKey,
    ) -> Result<Option<T>, Error> {
        let answer = self.ask(&resource.object(key), "application/json").await;
        found(key, answer)?.map(|body| read(&body)).transpose()
    }

    /// Applies an object; `body` carries the precondition (see [`crate::apply`]).
    pub(crate) async fn apply(
        &self,
        resource: &Resource,
        key: &ObjectKey,
        body: &Map<String, Value>,
        write: Write,
    ) -> Result<Live, Error> {
        let partial = self.send_apply(resource, key, body, write, METADATA);
        Ok(self.live(read(&partial.await?)?))
    }

    /// What an object would be if it were applied; `body` carries the precondition.
    pub(crate) async fn preview(
        &self,
        resource: &Resource,
        key: &ObjectKey,
        body: &Map<String, Value>,
    ) -> Result<Value, Error> {
        let whole = self.send_apply(resource, key, body, Write::DryRun, "application/json");
        read(&whole.await?)
    }

    async fn send_apply(
        &self,
        resource: &Resource,
        key: &ObjectKey,
        body: &Map<String, Value>,
        write: Write,
        accept: &str,
    ) -> Result<Bytes, Error> {
        let dry_run = match write {
            Write::DryRun => format!("&{DRY_RUN}"),
            Write::ForReal => String::new(),
        };
        let path = format!(
            "{}?fieldManager={FIELD_MANAGER}&force=true&fieldValidation=Strict{dry_run}",
            resource.object(key)
        );
        let request = Request::patch(path)
            .header(CONTENT_TYPE, "application/apply-patch+yaml")
            .header(ACCEPT, accept)
            .body(to_json(body)?);
        self.send(request.map_err(unreadable)?).await
    }

    /// Asks for the deletion of one incarnation in one state of an object.
    pub(crate) async fn delete(
        &self,
        resource: &Resource,
        key: &ObjectKey,
        incarnation: &Incarnation,
    ) -> Result<(), Error> {
        let mut body = json!({
            "propagationPolicy": "Background",
            "preconditions": {
                "uid": incarnation.uid,
                "resourceVersion": incarnation.resource_version,
            },
        });
        if Mutant::PreconditionsLeftOut.is_on() {
            body["preconditions"] = json!({});
        }
        self.write(Method::DELETE, &resource.object(key), &body)
            .await
            .map(drop)
    }

    /// Sends an object of the agent's own: its records and the namespaces it makes.
    pub(crate) async fn write(
        &self,
        method: Method,
        path: &str,
        body: &impl serde::Serialize,
    ) -> Result<Bytes, Error> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(CONTENT_TYPE, "application/json")
            .body(to_json(body)?)
            .map_err(unreadable)?;
        self.send(request).await
    }

    pub(super) fn live(&self, partial: Partial) -> Live {
        partial.into_live(&self.yields_to)
    }

    pub(super) async fn ask(&self, path: &str, accept: &str) -> Result<Bytes, Error> {
        let request = Request::get(path)
            .header(ACCEPT, accept)
            .body(Vec::new())
            .map_err(unreadable)?;
        self.send(request).await
    }
}

/// Tells an object that does not exist from a kind that is not served, which proves nothing.
fn found(key: &ObjectKey, answer: Result<Bytes, Error>) -> Result<Option<Bytes>, Error> {
    match answer {
        Ok(body) => Ok(Some(body)),
        Err(Error::Refused(refusal)) if refusal.absent.as_ref() == Some(&key.name) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    // The error's own words quote no values: it is about the shape.
    serde_json::from_slice(body)
        .map_err(|error| Error::Unreadable(format!("{:?} error", error.classify())))
}

fn to_json(body: &impl serde::Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(body).map_err(|error| Error::Unreadable(error.to_string()))
}

fn unreadable(error: impl std::fmt::Display) -> Error {
    Error::Unreadable(error.to_string())
}

#[derive(Deserialize)]
pub(super) struct Partial {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    namespace: Option<String>,
    uid: String,
    resource_version: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    deletion_timestamp: Option<String>,
    #[serde(default)]
    finalizers: Vec<String>,
    #[serde(default)]
    managed_fields: Vec<ManagedFields>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManagedFields {
    #[serde(default)]
    manager: String,
    #[serde(default)]
    operation: String,
    #[serde(default)]
    subresource: String,
    #[serde(default)]
    api_version: String,
    time: Option<String>,
    fields_v1: Option<Value>,
}

impl Partial {
    pub(super) fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Its namespace and its name.
    pub(super) fn place(&self) -> (Option<String>, String) {
        (self.metadata.namespace.clone(), self.metadata.name.clone())
    }
}

impl ManagedFields {
    fn is_ours(&self) -> bool {
        self.manager == FIELD_MANAGER && self.operation == "Apply" && self.subresource.is_empty()
    }

    /// Whether the fields are left to whoever set them: autoscalers and people who scale, and the managers that the
    /// agent was told to yield to.
    fn is_yielded_to(&self, yields_to: &[String]) -> bool {
        !self.is_ours() && (self.subresource == "scale" || yields_to.contains(&self.manager))
    }

    fn cession(&self) -> Option<Cession> {
        let to = match self.subresource.as_str() {
            "" => self.manager.clone(),
            subresource => format!("{} ({subresource})", self.manager),
        };
        let fields = self.fields_v1.clone()?;
        Some(Cession { to, fields })
    }

    /// Changes when somebody else takes over one of the fields, which is how an edit shows.
    fn fingerprint(&self) -> Fingerprint {
        let fields = self.fields_v1.as_ref().map(Value::to_string);
        Fingerprint::of(format!("{} {}", self.api_version, fields.unwrap_or_default()).as_bytes())
    }
}

impl Partial {
    fn into_live(self, yields_to: &[String]) -> Live {
        let metadata = self.metadata;
        let says = |annotation, value| {
            metadata.annotations.get(annotation).map(String::as_str) == Some(value)
        };
        let mut managers: Vec<String> = metadata
            .managed_fields
            .iter()
            .map(|fields| fields.manager.clone())
            .collect();
        managers.sort();
        managers.dedup();
        let ours = metadata.managed_fields.iter().find(|f| f.is_ours());
        let ceded = metadata.managed_fields.iter();
        let ceded = ceded.filter(|fields| fields.is_yielded_to(yields_to));
        Live {
            ceded: ceded.filter_map(ManagedFields::cession).collect(),
            stack: metadata.labels.get(STACK_LABEL).cloned(),
            fields: ours.map(ManagedFields::fingerprint),
            applied_at: ours.and_then(|ours| ours.time.clone()),
            managers,
            asks_to_stay: says(PRUNE_ANNOTATION, "disabled")
                || says(HELM_POLICY_ANNOTATION, "keep"),
            deleting: metadata
                .deletion_timestamp
                .is_some()
                .then_some(metadata.finalizers),
            incarnation: Incarnation {
                uid: metadata.uid,
                resource_version: metadata.resource_version,
            },
        }
    }
}
