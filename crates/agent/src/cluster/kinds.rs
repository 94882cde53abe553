use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use brokkr_core::ObjectKey;
use http::Request;
use http::header::ACCEPT;
use kube::core::discovery::v2::{
    ACCEPT_AGGREGATED_DISCOVERY_V2, APIGroupDiscovery, APIGroupDiscoveryList, APIResourceDiscovery,
};
use tokio::time::Instant;

use super::{Cluster, Resource};
use crate::Error;

/// Where objects of a kind live.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scope {
    Namespaced,
    ClusterWide,
}

/// The kinds that the cluster serves, each in its versions, the preferred one first.
#[derive(Debug, Default)]
pub(crate) struct Kinds(HashMap<(String, String), Vec<(Resource, Scope)>>);

/// What was served at a time.
pub(super) struct Known {
    kinds: Arc<Kinds>,
    since: Instant,
}

impl Cluster {
    /// The kinds that were served at most `age` ago.
    pub(crate) async fn kinds(&self, age: Duration) -> Result<Arc<Kinds>, Error> {
        let mut known = self.kinds.lock().await;
        if let Some(known) = &*known
            && known.since.elapsed() <= age
        {
            return Ok(known.kinds.clone());
        }
        let mut kinds = Kinds::default();
        for root in ["/api", "/apis"] {
            kinds.extend(self.discover(root).await?);
        }
        let kinds = Arc::new(kinds);
        *known = Some(Known {
            kinds: kinds.clone(),
            since: Instant::now(),
        });
        Ok(kinds)
    }

    async fn discover(&self, root: &str) -> Result<APIGroupDiscoveryList, Error> {
        let request = Request::get(root)
            .header(ACCEPT, ACCEPT_AGGREGATED_DISCOVERY_V2)
            .body(Vec::new())
            .map_err(|error| Error::Unreadable(error.to_string()))?;
        let list: APIGroupDiscoveryList = serde_json::from_slice(&self.send(request).await?)
            .map_err(|error| Error::Unreadable(error.to_string()))?;
        if list.items.is_empty() {
            return Err(Error::Unreadable(
                "the list of kinds is empty: Kubernetes 1.30 or newer is needed".to_owned(),
            ));
        }
        Ok(list)
    }
}

impl Kinds {
    fn extend(&mut self, list: APIGroupDiscoveryList) {
        for group in list.items {
            self.extend_with_group(group);
        }
    }

    fn extend_with_group(&mut self, group: APIGroupDiscovery) {
        let name = group.metadata.and_then(|m| m.name).unwrap_or_default();
        for version in group.versions {
            let version_name = version.version.unwrap_or_default();
            for resource in version.resources {
                if let Some((kind, plural, scope)) = writable(resource) {
                    self.0
                        .entry((name.clone(), kind))
                        .or_default()
                        .push((Resource::new(&name, &version_name, &plural), scope));
                }
            }
        }
    }

    /// How exactly this version of a kind is served.
    pub(crate) fn get(
        &self,
        group: &str,
        kind: &str,
        api_version: &str,
    ) -> Option<(Resource, Scope)> {
        self.versions(group, kind)
            .iter()
            .find(|(resource, _)| resource.api_version == api_version)
            .cloned()
    }

    /// The versions of a kind, the preferred one first.
    pub(crate) fn versions(&self, group: &str, kind: &str) -> &[(Resource, Scope)] {
        self.0
            .get(&(group.to_owned(), kind.to_owned()))
            .map_or(&[], Vec::as_slice)
    }

    /// Where to find an object that was written as `recorded`, which may be served no more.
    pub(crate) fn current(&self, key: &ObjectKey, recorded: &Resource) -> Resource {
        let versions = self.versions(&key.group, &key.kind);
        let is_recorded = |(resource, _): &&(Resource, Scope)| resource == recorded;
        versions
            .iter()
            .find(is_recorded)
            .or(versions.first())
            .map_or_else(|| recorded.clone(), |(resource, _)| resource.clone())
    }
}

/// A kind that can be applied; reviews and bindings, for example, cannot.
fn writable(resource: APIResourceDiscovery) -> Option<(String, String, Scope)> {
    let is_writable = ["get", "patch", "delete"]
        .iter()
        .all(|verb| resource.verbs.iter().any(|has| has == verb));
    let scope = match resource.scope.as_deref() {
        Some("Namespaced") => Scope::Namespaced,
        _ => Scope::ClusterWide,
    };
    let kind = resource.response_kind?.kind?;
    is_writable.then_some((kind, resource.resource?, scope))
}
