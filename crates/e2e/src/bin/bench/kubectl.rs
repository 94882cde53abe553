//! A thousand new objects through the product, and through `kubectl apply --server-side`.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use brokkr_e2e::manifests::snapshot;
use brokkr_e2e::{Cluster, Stage, unique};
use tokio::process::Command;

use crate::figure::{Figure, Must};
use crate::thousand::{OBJECTS, all_exist, by_product, objects};

const RUNS: usize = 3;

pub async fn measure(stage: &Stage) -> Result<Vec<Figure>> {
    let world = stage.world().await?;
    let file = stage.directory().join("objects.yaml");
    std::fs::write(&file, snapshot(objects()))?;
    let mut ratios = Vec::new();
    for run in 1..=RUNS {
        let ours = by_product(&world, &format!("thousand-{run}")).await?;
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

/// From the start of kubectl to its end.
async fn by_kubectl(cluster: &Cluster, file: &Path) -> Result<Duration> {
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
    all_exist(cluster, &namespace).await?;
    Ok(duration)
}
