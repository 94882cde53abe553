//! How soon an agent that waits at one replica knows what was published at another.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use brokkr_client::{Client, Poll};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Engine, Stage};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::figure::{Figure, Must, p99};

const RUNS: usize = 3;
const PUBLISHES: usize = 200;
const WAIT: Duration = Duration::from_secs(30);
/// From one publish to the next: the agents have asked again, and wait.
const PAUSE: Duration = Duration::from_millis(20);

/// An agent has a state with this sequence of its stack since then.
type Seen = (u64, Instant);

pub async fn measure() -> Result<Vec<Figure>> {
    let stage = Stage::set(Engine::Postgres).await?;
    let publishing = stage.broker("first").await?;
    publishing.new_stack("checkout").await?;
    let (seen, mut sightings) = mpsc::unbounded_channel();
    // They serve as long as they are held.
    let mut replicas = Vec::new();
    for name in ["second", "third"] {
        let replica = stage.broker(name).await?;
        let key = publishing.new_agent(name).await?;
        publishing.target(name, "checkout").await?;
        tokio::spawn(watch(replica.client(&key)?, seen.clone()));
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
                let at = sighting(sequence, &mut sightings).await?;
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

/// When the next agent saw this sequence.
async fn sighting(sequence: u64, sightings: &mut mpsc::UnboundedReceiver<Seen>) -> Result<Instant> {
    loop {
        let next = timeout(WAIT, sightings.recv());
        let (seen, at) = next
            .await
            .with_context(|| format!("an agent never saw sequence {sequence}"))?
            .context("an agent asks no more")?;
        if seen == sequence {
            return Ok(at);
        }
    }
}

/// Polls for ever, and says what it sees.
async fn watch(agent: Client, seen: mpsc::UnboundedSender<Seen>) -> brokkr_client::Result<()> {
    let mut known = None;
    loop {
        let polled = agent.target_state(known.as_deref(), WAIT, WAIT).await?;
        let at = Instant::now();
        if let Poll::Changed { etag, state } = polled {
            known = Some(etag);
            for stack in &state.stacks {
                // Nobody listens any more when all is measured.
                let _ = seen.send((stack.sequence, at));
            }
        }
    }
}
