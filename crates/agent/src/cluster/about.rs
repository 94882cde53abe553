use std::collections::BTreeMap;

use serde::Deserialize;

use super::Cluster;
use super::objects::read;
use super::see::List;
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
}

impl Cluster {
    /// The version of the API server, such as `v1.33.2`.
    pub(crate) async fn version(&self) -> Result<String, Error> {
        let version: Version = read(&self.ask("/version", JSON).await?)?;
        Ok(version.git_version)
    }

    /// The nodes; none if the agent may not see them.
    pub(crate) async fn nodes(&self) -> Result<Vec<Node>, Error> {
        let mut nodes = Vec::new();
        let mut next = String::new();
        loop {
            let path = format!("/api/v1/nodes?limit={PAGE}&continue={next}");
            let page: List<Node> = match self.ask(&path, JSON).await {
                Err(error) if error.status() == Some(403) => return Ok(Vec::new()),
                answer => read(&answer?)?,
            };
            nodes.extend(page.items.into_iter().flatten());
            next = page.metadata.next;
            if next.is_empty() {
                return Ok(nodes);
            }
        }
    }
}
