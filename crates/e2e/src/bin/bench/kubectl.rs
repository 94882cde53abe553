//! A thousand new objects through the product, and through `kubectl apply --server-side`.

use std::collections::HashSet;
use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use brokkr_e2e::manifests::{config_map, snapshot};
use brokkr_e2e::{Cluster, Stage, World, unique};
use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
use tokio::process::Command;
use tokio::time::timeout;

use crate::figure::{Figure, Must};

const RUNS: usize = 3;
const OBJECTS: usize = 1_000;
const DEADLINE: Duration = Duration::from_mins(5);

pub async fn measure(stage: &Stage) -> Result<Vec<Figure>> {
    let world = stage.world().await?;
    let content = snapshot((0..OBJECTS).map(|number| config_map(&format!("object-{number}"), "1")));
    let file = stage.directory().join("objects.yaml");
    std::fs::write(&file, &content)?;
    let mut ratios = Vec::new();
    for run in 1..=RUNS {
        let ours = by_product(&world, &content, run).await?;
        let theirs = by_kubectl(&world.cluster, &file).await?;
        eprintln!("{OBJECTS} objects, run {run}: product {ours:.1?}, kubectl {theirs:.1?}");
        ratios.push(theirs.as_secs_f64() / ours.as_secs_f64());
    }
    Ok(vec![Figure::of(
        "apply_vs_kubectl",
        "ratio",
        &ratios,
        Must::AtLeast(20.0),
    )])
}

/// From the publish until the API server has shown every object.
async fn by_product(world: &World, content: &str, run: usize) -> Result<Duration> {
    let stack = world.stack(&format!("thousand-{run}")).await?;
    let start = Instant::now();
    let sequence = stack.publish(content).await?;
    timeout(DEADLINE, all_exist(&world.cluster, &stack.namespace))
        .await
        .context("too slow")??;
    let duration = start.elapsed();
    stack.synced(sequence).await?;
    Ok(duration)
}

/// From the start of kubectl to its end.
async fn by_kubectl(cluster: &Cluster, file: &std::path::Path) -> Result<Duration> {
    let namespace = format!("kubectl-{}", unique());
    cluster.create_namespace(&namespace).await?;
    let start = Instant::now();
    let output = Command::new("kubectl")
        .arg("--kubeconfig")
        .arg(cluster.kubeconfig())
        .args(["apply", "--server-side", "--namespace", &namespace, "-f"])
        .arg(file)
        .output()
        .await
        .context("kubectl is needed to compare with")?;
    let duration = start.elapsed();
    ensure!(
        output.status.success(),
        "kubectl: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    timeout(DEADLINE, all_exist(cluster, &namespace)).await??;
    Ok(duration)
}

async fn all_exist(cluster: &Cluster, namespace: &str) -> Result<()> {
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
