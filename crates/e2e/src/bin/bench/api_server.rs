//! A thousand new objects through the product, and through the least that does the same at the API server.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use axum::http::Request;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use brokkr_e2e::{Cluster, Stage, unique};
use futures::{StreamExt, TryStreamExt, stream};
use kube::client::Body;
use serde_json::json;

use crate::figure::{Figure, Must};
use crate::thousand::{OBJECTS, all_exist, by_product, name};

const RUNS: usize = 5;
/// What the product keeps under way if nobody tells it otherwise.
const IN_FLIGHT: usize = 32;

pub async fn measure(stage: &Stage) -> Result<Vec<Figure>> {
    let world = stage.world().await?;
    let mut ratios = Vec::new();
    for run in 1..=RUNS {
        let ours = by_product(&world, &format!("beside-{run}")).await?;
        let theirs = by_bare_client(&world.cluster).await?;
        eprintln!("{OBJECTS} objects, run {run}: product {ours:.2?}, bare client {theirs:.2?}");
        ratios.push(theirs.as_secs_f64() / ours.as_secs_f64());
    }
    Ok(vec![Figure::of(
        "apply_vs_api_server",
        "ratio",
        &ratios,
        Must::AtLeast(0.8),
    )])
}

/// From the first dry run to the answer to the last apply.
async fn by_bare_client(cluster: &Cluster) -> Result<Duration> {
    let namespace = format!("bare-{}", unique());
    cluster.create_namespace(&namespace).await?;
    let client = cluster.client();
    let start = Instant::now();
    for dry_run in ["&dryRun=All", ""] {
        let requests = (0..OBJECTS).map(|number| apply(&client, &namespace, number, dry_run));
        let answers = stream::iter(requests).buffer_unordered(IN_FLIGHT);
        answers.try_collect::<()>().await?;
    }
    let duration = start.elapsed();
    all_exist(cluster, &namespace).await?;
    Ok(duration)
}

async fn apply(client: &kube::Client, namespace: &str, number: usize, dry_run: &str) -> Result<()> {
    let name = name(number);
    let object = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": {"brokkr.io/stack": "bare"}},
        "data": {"value": "1"},
    });
    let request = Request::patch(format!(
        "/api/v1/namespaces/{namespace}/configmaps/{name}?fieldManager=bare&force=true&fieldValidation=Strict{dry_run}"
    ))
    .header(CONTENT_TYPE, "application/apply-patch+yaml")
    .header(
        ACCEPT,
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    )
    .body(Body::from(object.to_string().into_bytes()))?;
    let answer = client.send(request).await?;
    let status = answer.status();
    let body = answer.into_body().collect_bytes().await?;
    ensure!(
        status.is_success(),
        "{status}: {}",
        String::from_utf8_lossy(&body)
    );
    Ok(())
}
