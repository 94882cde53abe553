use std::collections::{HashMap, HashSet};
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
pub(crate) struct Kinds {
    served: HashMap<(String, String), Vec<(Resource, Scope)>>,
    watchable: HashSet<Resource>,
}

/// A kind in a version that is wanted and not served.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct MissingKind {
    pub group: String,
    pub kind: String,
    pub api_version: String,
}

/// How often is looked for a kind that somebody waits for.
const LOOK_FOR_MISSING: Duration = Duration::from_secs(2);

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
        // All wait for it, so it waits for nobody's turn.
        let agent = self.of_agent();
        for root in ["/api", "/apis"] {
            kinds.extend(agent.discover(root).await?);
        }
        let kinds = Arc::new(kinds);
        if known
            .as_ref()
            .is_some_and(|known| !known.kinds.are_named_as(&kinds))
        {
            self.other_kinds.notify_one();
        }
        *known = Some(Known {
            kinds: kinds.clone(),
            since: Instant::now(),
        });
        Ok(kinds)
    }

    /// Waits until one of these kinds is served. All who wait share the looks. It is not watched for: whoever may ask for
    /// anything may ask which kinds there are, and not everybody may watch definitions, which are not all that brings kinds.
    pub(crate) async fn served(&self, missing: &[MissingKind]) {
        loop {
            tokio::time::sleep(LOOK_FOR_MISSING).await;
            match self.kinds(LOOK_FOR_MISSING).await {
                Ok(kinds) if missing.iter().any(|kind| kinds.has(kind)) => return,
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "kinds cannot be looked for"),
            }
        }
    }

    /// Waits until a look found other kinds than the look before it.
    pub(crate) async fn other_kinds(&self) {
        self.other_kinds.notified().await;
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
                let is_watchable = resource.verbs.iter().any(|verb| verb == "watch");
                if let Some((kind, plural, scope)) = writable(resource) {
                    let resource = Resource::new(&name, &version_name, &plural);
                    if is_watchable {
                        self.watchable.insert(resource.clone());
                    }
                    let versions = self.served.entry((name.clone(), kind)).or_default();
                    versions.push((resource, scope));
                }
            }
        }
    }

    /// The names of all kinds, in any version: `group/Kind`, those of the core group without a group.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        self.served
            .keys()
            .map(|(group, kind)| match group.as_str() {
                "" => kind.clone(),
                group => format!("{group}/{kind}"),
            })
    }

    fn has(&self, missing: &MissingKind) -> bool {
        self.get(&missing.group, &missing.kind, &missing.api_version)
            .is_some()
    }

    fn are_named_as(&self, other: &Self) -> bool {
        self.served.len() == other.served.len()
            && self
                .served
                .keys()
                .all(|kind| other.served.contains_key(kind))
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

    /// Whether the server tells what changes in it.
    pub(crate) fn is_watchable(&self, resource: &Resource) -> bool {
        self.watchable.contains(resource)
    }

    /// The versions of a kind, the preferred one first.
    pub(crate) fn versions(&self, group: &str, kind: &str) -> &[(Resource, Scope)] {
        self.served
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kinds(resources: &[(&str, &str, &[&str])]) -> Kinds {
        let groups = resources.iter().map(|(group, kind, verbs)| {
            let resource = json!({
                "resource": "things", "responseKind": { "kind": kind }, "scope": "Namespaced",
                "verbs": verbs,
            });
            json!({
                "metadata": { "name": group },
                "versions": [{ "version": "v1", "resources": [resource] }],
            })
        });
        let list = json!({ "items": groups.collect::<Vec<_>>() });
        let mut kinds = Kinds::default();
        kinds.extend(serde_json::from_value(list).expect("a list"));
        kinds
    }

    #[test]
    fn kinds_that_can_be_applied_have_names() {
        let writable = ["get", "patch", "delete"].as_slice();
        let all = [
            ("", "Secret", writable),
            ("apps", "Deployment", writable),
            ("authorization.k8s.io", "SubjectAccessReview", &["create"]),
        ];
        let found = kinds(&all);
        let mut names: Vec<_> = found.names().collect();
        names.sort();
        assert_eq!(names, ["Secret", "apps/Deployment"]);
        assert!(found.are_named_as(&kinds(&all)));
        assert!(!found.are_named_as(&kinds(&all[..1])) && !kinds(&all[..1]).are_named_as(&found));
    }
}
