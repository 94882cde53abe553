//! From somebody's edit or delete until the object is again as it was published.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use brokkr_e2e::manifests::{config_map, snapshot};
use brokkr_e2e::{PATIENCE, Stage, TestStack, World};
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
use serde_json::json;
use tokio::time::timeout;

use crate::figure::{Figure, Must, p99};

const RUNS: usize = 3;
const OBJECTS: usize = 200;

pub async fn measure(stage: &Stage) -> Result<Vec<Figure>> {
    let world = stage.world().await?;
    let mut runs = Vec::new();
    for run in 1..=RUNS {
        let stack = world.stack(&format!("drift-{run}")).await?;
        let mut samples = one_run(&world, &stack).await?;
        runs.push(p99(&mut samples));
        let median = samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN);
        eprintln!("drift to repair, run {run}: p50 {median:.0} ms");
    }
    Ok(vec![Figure::of(
        "drift_repair_p99_ms",
        "ms",
        &runs,
        Must::AtMost(2_000.0),
    )])
}

/// Milliseconds of each repair, one after the other: every second object is edited, the others are deleted.
async fn one_run(world: &World, stack: &TestStack) -> Result<Vec<f64>> {
    let objects = (0..OBJECTS).map(|number| config_map(&name(number), "published"));
    stack.roll_out(&snapshot(objects)).await?;
    let maps = Api::<ConfigMap>::namespaced(world.cluster.client(), &stack.namespace);
    let seen = watcher::watcher(maps.clone(), watcher::Config::default());
    let mut seen = Box::pin(seen.applied_objects());
    is_as_published(&mut seen, &name(OBJECTS - 1)).await?;
    let mut samples = Vec::new();
    for number in 0..OBJECTS {
        let name = name(number);
        let start = Instant::now();
        if number % 2 == 0 {
            let edit = Patch::Merge(json!({"data": {"value": "edited"}}));
            maps.patch(&name, &PatchParams::default(), &edit).await?;
        } else {
            maps.delete(&name, &DeleteParams::default()).await?;
        }
        timeout(PATIENCE, is_as_published(&mut seen, &name))
            .await
            .with_context(|| format!("{name} is not repaired"))??;
        samples.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(samples)
}

fn name(number: usize) -> String {
    format!("object-{number:03}")
}

async fn is_as_published(
    seen: &mut (impl Stream<Item = watcher::Result<ConfigMap>> + Unpin),
    name: &str,
) -> Result<()> {
    while let Some(object) = seen.next().await {
        let object = object?;
        let value = object.data.as_ref().and_then(|data| data.get("value"));
        if object.name_any() == name && value.is_some_and(|value| value == "published") {
            return Ok(());
        }
    }
    bail!("the watch ended")
}
