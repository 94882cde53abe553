//! The agent's records in its namespace: the root and the inventories, and how to reach them.

use std::collections::HashMap;
use std::sync::Arc;

use brokkr_core::failpoint::Point;
use brokkr_core::plan::{Memory, Ownership};
use brokkr_core::{ObjectKey, StackId};
use http::Method;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;

use super::Inventory;
use super::root::{Change, Root};
use crate::Error;
use crate::apply::create_namespace;
use crate::cluster::{Cluster, Resource};

/// The label of records; never the one of a stack's objects.
pub(super) const LABEL: &str = "brokkr.io/inventory";

/// All records of this agent.
pub(crate) struct Records {
    shelf: Shelf,
    pub root: Root,
}

/// The `ConfigMap`s of the agent's namespace.
#[derive(Clone)]
pub(super) struct Shelf {
    cluster: Arc<Cluster>,
    pub namespace: String,
    resource: Resource,
}

impl Records {
    pub(crate) fn new(cluster: Arc<Cluster>, namespace: String) -> Self {
        let shelf = Shelf {
            cluster,
            namespace,
            resource: Resource::new("", "v1", "configmaps"),
        };
        Self {
            root: Root::new(shelf.clone()),
            shelf,
        }
    }

    /// The agent's own namespace, in which they lie.
    pub(crate) fn namespace(&self) -> &str {
        &self.shelf.namespace
    }

    /// Makes the namespace if it is missing, and reads the root.
    pub(crate) async fn prepare(&self) -> Result<(), Error> {
        let namespace = ObjectKey {
            group: String::new(),
            kind: "Namespace".to_owned(),
            namespace: None,
            name: self.shelf.namespace.clone(),
        };
        let resource = Resource::new("", "v1", "namespaces");
        match self.shelf.cluster.find(&resource, &namespace).await {
            Ok(None) => create_namespace(&self.shelf.cluster, &self.shelf.namespace).await?,
            // An account with few rights works in a namespace that somebody else made.
            Err(error) if error.status() == Some(403) => {}
            found => drop(found?),
        }
        self.root.load().await?;
        Point::RootRead.reached();
        Ok(())
    }

    /// Reads the root again, which somebody else writes.
    pub(crate) async fn look(&self) -> Result<(), Error> {
        self.root.load().await
    }

    /// A stack's inventory: the stored one, an empty one for a stack that never was here, or one that
    /// knows that it was lost.
    pub(crate) async fn open(&self, stack: StackId) -> Result<Inventory, Error> {
        let inventory = match self.shelf.read(stack).await? {
            Some(inventory) => inventory,
            None if self.root.lists(stack).await => Inventory::new(stack, Memory::Lost),
            None => Inventory::new(stack, Memory::Whole),
        };
        if inventory.memory == Memory::Lost {
            tracing::warn!(%stack, "the stack's inventory is lost: nothing of it is deleted");
        }
        Ok(inventory)
    }

    /// Whose the objects are that other stacks of this agent own, by UID.
    pub(crate) async fn owners_beside(
        &self,
        stack: StackId,
    ) -> Result<HashMap<String, StackId>, Error> {
        let mut owners = HashMap::new();
        for other in self.root.stacks().await {
            if other == stack {
                continue;
            }
            let inventory = self.shelf.read(other).await?;
            for entry in inventory.iter().flat_map(|i| i.entries().values()) {
                if let Ownership::Owned { uid, .. } = &entry.ownership {
                    owners.insert(uid.clone(), other);
                }
            }
        }
        Ok(owners)
    }

    /// Writes an inventory, and then lists it in the root: what is listed exists.
    pub(crate) async fn save(&self, inventory: &mut Inventory) -> Result<(), Error> {
        self.shelf.write(inventory).await?;
        Point::StackEnlisting.reached();
        self.root.change(Change::Enlist(inventory.stack)).await?;
        Point::StackEnlisted.reached();
        Ok(())
    }

    /// Forgets a stack that owns nothing any more, in the other order.
    pub(crate) async fn discard(&self, stack: StackId) -> Result<(), Error> {
        Point::StackStriking.reached();
        self.root.change(Change::Strike(stack)).await?;
        Point::StackStruck.reached();
        self.shelf.discard(stack).await?;
        Point::RecordsDiscarded.reached();
        Ok(())
    }
}

impl Shelf {
    fn key(&self, name: &str) -> ObjectKey {
        ObjectKey {
            group: String::new(),
            kind: "ConfigMap".to_owned(),
            namespace: Some(self.namespace.clone()),
            name: name.to_owned(),
        }
    }

    pub(super) async fn get(&self, name: &str) -> Result<Option<ConfigMap>, Error> {
        self.cluster.get(&self.resource, &self.key(name)).await
    }

    /// Creates a ConfigMap; its version is the answer.
    pub(super) async fn post(&self, config_map: &ConfigMap) -> Result<String, Error> {
        self.send(Method::POST, config_map).await
    }

    pub(super) async fn send(
        &self,
        method: Method,
        config_map: &ConfigMap,
    ) -> Result<String, Error> {
        let path = match (&method, &config_map.metadata.name) {
            (&Method::PUT, Some(name)) => self.resource.object(&self.key(name)),
            _ => self.resource.collection(Some(&self.namespace)),
        };
        let body = self.cluster.write(method, &path, config_map).await?;
        let written: ConfigMap =
            serde_json::from_slice(&body).map_err(|error| Error::Unreadable(error.to_string()))?;
        Ok(written.metadata.resource_version.unwrap_or_default())
    }

    pub(super) async fn delete(&self, name: &str) -> Result<(), Error> {
        let path = self.resource.object(&self.key(name));
        match self.cluster.write(Method::DELETE, &path, &json!({})).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    /// The names of all `ConfigMap`s of a stack's inventory.
    pub(super) async fn names_of(&self, stack: StackId) -> Result<Vec<String>, Error> {
        let label = (LABEL, &*stack.to_string());
        self.cluster
            .names(&self.resource, &self.namespace, label)
            .await
    }

    /// A record of the agent itself.
    pub(super) fn record(&self, name: &str) -> ConfigMap {
        ConfigMap {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(self.namespace.clone()),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        }
    }
}
