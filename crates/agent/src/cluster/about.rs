use std::collections::BTreeMap;

use brokkr_core::cluster_uid::{ClusterUid, NoClusterUid};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::list::List;
use super::objects::read;
use super::{Cluster, Resource};
use crate::Error;

const JSON: &str = "application/json";
/// Nodes are long: each lists its images.
const PAGE: usize = 100;

/// What matters of a node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Node {
    metadata: NodeMetadata,
    spec: NodeSpec,
    status: NodeStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct NodeMetadata {
    labels: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NodeSpec {
    #[serde(rename = "providerID")]
    provider_id: String,
    unschedulable: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct NodeStatus {
    allocatable: BTreeMap<String, Value>,
}

/// A bound on what the Pods of a namespace ask for together.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Quota {
    metadata: QuotaMetadata,
    spec: QuotaSpec,
    pub status: QuotaStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct QuotaMetadata {
    name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct QuotaSpec {
    scopes: Vec<Value>,
    scope_selector: Option<Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct QuotaStatus {
    pub hard: BTreeMap<String, Value>,
    pub used: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    git_version: String,
}

impl Node {
    /// The id that the provider of the machine gave it.
    pub(crate) fn provider_id(&self) -> &str {
        &self.spec.provider_id
    }

    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.metadata.labels.get(key).map(String::as_str)
    }

    /// Whether the scheduler may put Pods on it: nobody cordoned it.
    pub(crate) fn is_schedulable(&self) -> bool {
        !self.spec.unschedulable
    }

    /// How much of a resource it has for Pods, as it is written.
    pub(crate) fn allocatable(&self, resource: &str) -> Option<&Value> {
        self.status.allocatable.get(resource)
    }
}

impl Quota {
    pub(crate) fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Whether it bounds all Pods of its namespace, and not only some.
    pub(crate) fn is_of_all_pods(&self) -> bool {
        self.spec.scopes.is_empty() && self.spec.scope_selector.is_none()
    }
}

#[derive(Deserialize)]
struct Identified {
    metadata: Identity,
}

#[derive(Deserialize)]
struct Identity {
    uid: String,
}

impl Cluster {
    /// What tells the cluster from all others: the UID of the namespace that is as old as it.
    pub(crate) async fn uid(&self) -> Result<ClusterUid, Error> {
        let namespace = self.ask("/api/v1/namespaces/kube-system", JSON).await?;
        let Identified { metadata } = read(&namespace)?;
        let uid = metadata.uid.try_into();
        uid.map_err(|error: NoClusterUid| Error::Unreadable(error.to_string()))
    }

    /// The version of the API server, such as `v1.33.2`.
    pub(crate) async fn version(&self) -> Result<String, Error> {
        let version: Version = read(&self.ask("/version", JSON).await?)?;
        Ok(version.git_version)
    }

    /// The nodes; none if the agent may not see them.
    pub(crate) async fn nodes(&self) -> Result<Vec<Node>, Error> {
        match self.all_nodes().await {
            Err(error) if error.status() == Some(403) => Ok(Vec::new()),
            nodes => nodes,
        }
    }

    /// The nodes.
    pub(crate) async fn all_nodes(&self) -> Result<Vec<Node>, Error> {
        self.all("/api/v1/nodes").await
    }

    /// The quotas of a namespace.
    pub(crate) async fn quotas(&self, namespace: &str) -> Result<Vec<Quota>, Error> {
        let quotas = Resource::new("", "v1", "resourcequotas");
        self.all(&quotas.collection(Some(namespace))).await
    }

    async fn all<T: DeserializeOwned>(&self, collection: &str) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        let mut next = String::new();
        loop {
            let path = format!("{collection}?limit={PAGE}&continue={next}");
            let page: List<T> = read(&self.ask(&path, JSON).await?)?;
            all.extend(page.items.into_iter().flatten());
            next = page.metadata.next;
            if next.is_empty() {
                return Ok(all);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;

    use brokkr_core::ambient::System;
    use http::{Request, Response};
    use kube::client::Body;
    use serde_json::json;

    use super::*;

    /// A cluster whose server answers a path, with its query, so.
    fn cluster(answer: fn(&str) -> (u16, String)) -> Cluster {
        let service = tower::service_fn(move |request: Request<Body>| {
            let path = request.uri().path_and_query().map(ToString::to_string);
            let (status, body) = answer(&path.unwrap_or_default());
            let response = Response::builder()
                .status(status)
                .body(Body::from(body.into_bytes()));
            std::future::ready(Ok::<_, Infallible>(response.expect("a response")))
        });
        Cluster::new(kube::Client::new(service, "default"), 4, Arc::new(System))
    }

    fn page(id: &str, next: &str) -> String {
        let node = json!({ "metadata": { "labels": { "a": id } }, "spec": { "providerID": id } });
        json!({ "metadata": { "continue": next }, "items": [node] }).to_string()
    }

    #[tokio::test]
    async fn nodes_are_read_to_the_last_page() {
        let cluster = cluster(|path| match path.rsplit_once("continue=") {
            Some((_, "")) => (200, page("first", "more")),
            Some((_, "more")) => (200, page("second", "")),
            _ => (500, String::new()),
        });
        let nodes = cluster.nodes().await.expect("nodes");
        let ids: Vec<_> = nodes.iter().map(Node::provider_id).collect();
        assert_eq!(ids, ["first", "second"]);
        assert_eq!(nodes[1].label("a"), Some("second"));
    }

    #[tokio::test]
    async fn who_may_not_see_nodes_sees_none_and_that_is_no_failure() {
        assert!(
            cluster(|_| (403, String::new()))
                .nodes()
                .await
                .expect("none")
                .is_empty()
        );
        assert!(cluster(|_| (500, String::new())).nodes().await.is_err());
    }
}
