//! From a publish until the API server has it.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{PATIENCE, Stage, TestStack, World};
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::runtime::watcher;
use tokio::time::timeout;

use crate::figure::{Figure, Must, p99};

const RUNS: usize = 3;
const PUBLISHES: usize = 100;

pub async fn measure(stage: &Stage) -> Result<Vec<Figure>> {
    let world = stage.world().await?;
    let mut runs = Vec::new();
    for run in 1..=RUNS {
        let stack = world.stack(&format!("applied-{run}")).await?;
        let mut samples = one_run(&world, &stack).await?;
        runs.push(p99(&mut samples));
        let median = samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN);
        eprintln!("publish to applied, run {run}: p50 {median:.0} ms");
    }
    Ok(vec![Figure::of(
        "publish_to_applied_p99_ms",
        "ms",
        &runs,
        Must::AtMost(500.0),
    )])
}

/// Milliseconds of each publish.
async fn one_run(world: &World, stack: &TestStack) -> Result<Vec<f64>> {
    stack.roll_out(&config_map("a", "first")).await?;
    let maps = Api::<ConfigMap>::namespaced(world.cluster.client(), &stack.namespace);
    let mut seen = Box::pin(watcher::watch_object(maps, "a"));
    has_value(&mut seen, "first").await?;
    let mut samples = Vec::new();
    for number in 0..PUBLISHES {
        let value = number.to_string();
        let start = Instant::now();
        stack.publish(&config_map("a", &value)).await?;
        timeout(PATIENCE, has_value(&mut seen, &value))
            .await
            .context("a publish is not applied")??;
        samples.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(samples)
}

async fn has_value(
    seen: &mut (impl Stream<Item = watcher::Result<Option<ConfigMap>>> + Unpin),
    wanted: &str,
) -> Result<()> {
    while let Some(object) = seen.next().await {
        let data = object?.and_then(|map| map.data).unwrap_or_default();
        if data.get("value").is_some_and(|value| value == wanted) {
            return Ok(());
        }
    }
    bail!("the watch ended")
}
