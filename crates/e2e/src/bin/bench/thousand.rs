//! A thousand new objects, by the product; others are measured beside it.

use std::collections::HashSet;
use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use brokkr_e2e::manifests::{config_map, snapshot};
use brokkr_e2e::{Cluster, World};
use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
use tokio::time::timeout;

pub const OBJECTS: usize = 1_000;
const DEADLINE: Duration = Duration::from_mins(5);

/// The manifests.
pub fn objects() -> impl Iterator<Item = String> {
    (0..OBJECTS).map(|number| config_map(&name(number), "1"))
}

/// What an object is called.
pub fn name(number: usize) -> String {
    format!("object-{number}")
}

/// From the publish until the API server has shown every object.
pub async fn by_product(world: &World, stack: &str) -> Result<Duration> {
    let stack = world.stack(stack).await?;
    let first = config_map("first", "1");
    // The namespace is there then, and what else a story puts around its objects.
    stack.roll_out(&first).await?;
    let content = snapshot([first].into_iter().chain(objects()));
    let start = Instant::now();
    let sequence = stack.publish(&content).await?;
    all_exist(&world.cluster, &stack.namespace).await?;
    let duration = start.elapsed();
    stack.synced(sequence).await?;
    Ok(duration)
}

/// Waits until the API server has shown every object.
pub async fn all_exist(cluster: &Cluster, namespace: &str) -> Result<()> {
    timeout(DEADLINE, are_shown(cluster, namespace))
        .await
        .context("too slow")?
}

async fn are_shown(cluster: &Cluster, namespace: &str) -> Result<()> {
    let maps = Api::<ConfigMap>::namespaced(cluster.client(), namespace);
    let mut seen = pin!(watcher(maps, watcher::Config::default()).applied_objects());
    let mut names = HashSet::new();
    while let Some(map) = seen.next().await {
        let name = map?.name_any();
        if name.starts_with("object-") {
            names.insert(name);
        }
        if names.len() == OBJECTS {
            return Ok(());
        }
    }
    bail!("the watch ended")
}
