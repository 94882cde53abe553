//! How soon an agent that waits at one replica knows what was published at another.

use std::time::{Duration, Instant};

use anyhow::Result;
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Engine, Stage};
use tokio::time::sleep;

use crate::figure::{Figure, Must, p99};
use crate::sightings::Sightings;

const RUNS: usize = 3;
const PUBLISHES: usize = 200;
/// From one publish to the next: the agents have asked again, and wait.
const PAUSE: Duration = Duration::from_millis(20);

pub async fn measure() -> Result<Vec<Figure>> {
    let stage = Stage::set(Engine::Postgres).await?;
    let publishing = stage.broker("first").await?;
    publishing.new_stack("checkout").await?;
    let mut sightings = Sightings::new();
    // They serve as long as they are held.
    let mut replicas = Vec::new();
    for name in ["second", "third"] {
        let replica = stage.broker(name).await?;
        let key = publishing.new_agent(name).await?;
        publishing.target(name, "checkout").await?;
        sightings.watch(replica.client(&key)?);
        replicas.push(replica);
    }
    let mut runs = Vec::new();
    for run in 1..=RUNS {
        let mut millis = Vec::new();
        for number in 0..PUBLISHES {
            let begun = Instant::now();
            let manifests = config_map("a", &format!("{run}-{number}"));
            let published = publishing.publish("checkout", &manifests).await?;
            let sequence = published.deployment_object.sequence;
            for _ in &replicas {
                let at = sightings.next_of(sequence).await?;
                millis.push(at.duration_since(begun).as_secs_f64() * 1e3);
            }
            sleep(PAUSE).await;
        }
        runs.push(p99(&mut millis));
        eprintln!("replicas, run {run}: p99 {:.1} ms", p99(&mut millis));
    }
    Ok(vec![Figure::of(
        "replica_lag_p99_ms",
        "ms",
        &runs,
        Must::AtMost(50.0),
    )])
}
