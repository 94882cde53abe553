//! What agents cost that wait, and how soon all of them are back when the broker was away.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use brokkr_e2e::{Broker, Engine, Stage};
use serde_json::Value;
use tokio::time::sleep;

use crate::figure::{Figure, Must};
use crate::simulated::{self, Simulation};

const RUNS: usize = 3;
const FEW: u32 = 1_000;
const MANY: u32 = 10_000;
/// The allocator gives back what the start took.
const REST: Duration = Duration::from_secs(12);
const DURATION: &str = "30s";

pub async fn measure() -> Result<Vec<Figure>> {
    let (mut fresh, mut used, mut reconnects) = (Vec::new(), Vec::new(), Vec::new());
    for run in 1..=RUNS {
        let few = waiting(FEW).await?;
        let many = waiting(MANY).await?;
        let each = |few: f64, many: f64| (many - few) / 1024.0 / f64::from(MANY - FEW);
        fresh.push(each(few.fresh, many.fresh));
        used.push(each(few.used, many.used));
        reconnects.push(many.reconnect);
        eprintln!(
            "waiting, run {run}: {fresh:.1?} {used:.1?} KiB an agent, back after {reconnects:.1?} s"
        );
    }
    Ok(vec![
        Figure::of("broker_kb_per_agent", "KiB", &fresh, Must::AtMost(16.0)),
        Figure::of("broker_kb_per_agent_used", "KiB", &used, Must::AtMost(32.0)),
        Figure::of("reconnect_10k_s", "s", &reconnects, Must::AtMost(4.0)),
    ])
}

/// What was seen of a broker with so many agents.
struct Waiting {
    /// Memory in bytes, when all but one had only asked.
    fresh: f64,
    /// When all have fetched a content.
    used: f64,
    /// Seconds from the end of the broker to the last agent's answer.
    reconnect: f64,
}

async fn waiting(agents: u32) -> Result<Waiting> {
    let fresh = Fleet::begin(agents, 1).await?;
    let memory = fresh.memory().await?;
    fresh.end().await?;
    let mut used = Fleet::begin(agents, agents).await?;
    let with_contents = used.memory().await?;
    used.broker.kill().await?;
    used.broker.start_again().await?;
    let report = used.end().await?;
    let outages = report.pointer("/outages").context("outages")?;
    let count = outages.pointer("/count").and_then(Value::as_u64);
    ensure!(
        count >= Some(agents.into()),
        "{count:?} of {agents} agents saw that the broker was away"
    );
    let longest = outages.pointer("/max_ms").and_then(Value::as_f64);
    Ok(Waiting {
        fresh: memory,
        used: with_contents,
        reconnect: longest.context("the longest outage")? / 1e3,
    })
}

/// A broker with agents that wait.
struct Fleet {
    stage: Stage,
    broker: Broker,
    simulation: Simulation,
}

impl Fleet {
    /// Has agents wait at a broker, of which so many have a stack.
    async fn begin(agents: u32, reach: u32) -> Result<Self> {
        let stage = Stage::set(Engine::Sqlite).await?;
        let broker = stage.broker("broker").await?;
        let cli = stage.operator(&broker).await?;
        let (agents, reach) = (agents.to_string(), reach.to_string());
        let how = [
            ["--agents", &agents],
            ["--reach", &reach],
            ["--publishes", "0.05"],
            ["--duration", DURATION],
        ];
        let simulation = Simulation::begin(&cli, &how.concat()).await?;
        Ok(Self {
            stage,
            broker,
            simulation,
        })
    }

    /// What the broker has in memory once it has come to rest, in bytes.
    async fn memory(&self) -> Result<f64> {
        sleep(REST).await;
        simulated::memory(self.broker.process())
    }

    /// What the simulation saw in all.
    async fn end(self) -> Result<Value> {
        self.simulation.end(self.stage.directory()).await
    }
}
