//! Unchanged polls beside a bare handler: how much of the machine is left to the agents.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Result, ensure};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Broker, Process, Stage, cpu};
use tokio::process::Command;

use crate::figure::{Figure, Must};
use crate::load::Outcome;

const CONNECTIONS: usize = 64;
const RUNS: usize = 3;
/// Both sides take turns of a second, so that whatever else the machine does meets both.
const TURNS: usize = 5;
const SECONDS: u64 = 1;
/// A turn with less traffic proves nothing.
const LEAST_ANSWERS: u64 = 2_000;

pub async fn measure(stage: &Stage) -> Result<Vec<Figure>> {
    let broker = stage.broker("broker").await?;
    let keys = stage.directory().join("keys");
    std::fs::write(&keys, agents(&broker).await?.join("\n"))?;
    let mut bare = Command::new(std::env::current_exe()?);
    let mut bare = Process::start("bare", bare.arg("bare"), stage.directory())?;
    let bare_address = bare.says("listening on ").await?.parse()?;

    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    for run in 1..=RUNS {
        let (mut theirs, mut ours) = (Run::default(), Run::default());
        for _ in 0..TURNS {
            theirs.take_turn(&bare, bare_address, &keys).await?;
            ours.take_turn(broker.process(), broker.address(), &keys)
                .await?;
        }
        eprintln!("polls, run {run}: bare {theirs}; broker {ours}");
        rates.push(ours.per_second() / theirs.per_second());
        costs.push(theirs.cpu_micros() / ours.cpu_micros());
    }
    let rate = Must::AtLeast(0.65);
    let cost = Must::AtLeast(0.55);
    Ok(vec![
        Figure::of("poll_unchanged_vs_bare", "ratio", &rates, rate),
        Figure::of("poll_cpu_vs_bare", "ratio", &costs, cost),
    ])
}

/// The keys of agents that are all responsible for one published stack.
async fn agents(broker: &Broker) -> Result<Vec<String>> {
    broker.new_stack("checkout").await?;
    broker.publish("checkout", &config_map("a", "1")).await?;
    let mut keys = Vec::new();
    for number in 0..CONNECTIONS {
        let name = format!("agent-{number}");
        keys.push(broker.new_agent(&name).await?);
        broker.target(&name, "checkout").await?;
    }
    Ok(keys)
}

/// What one side did in all its turns.
#[derive(Default)]
struct Run {
    answers: f64,
    seconds: f64,
    cpu_seconds: f64,
}

impl Run {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 answers")]
    async fn take_turn(
        &mut self,
        server: &Process,
        address: SocketAddr,
        keys: &Path,
    ) -> Result<()> {
        let before = cpu::seconds(server.id()?)?;
        let load = Command::new(std::env::current_exe()?)
            .args(["load", &address.to_string()])
            .arg(keys)
            .arg(SECONDS.to_string())
            .output()
            .await?;
        self.cpu_seconds += cpu::seconds(server.id()?)? - before;
        let why = String::from_utf8_lossy(&load.stderr);
        ensure!(load.status.success(), "the load: {why}");
        let Outcome { answers, seconds } = serde_json::from_slice(&load.stdout)?;
        ensure!(
            answers >= LEAST_ANSWERS,
            "{answers} answers are too little traffic"
        );
        self.answers += answers as f64;
        self.seconds += seconds;
        Ok(())
    }

    fn per_second(&self) -> f64 {
        self.answers / self.seconds
    }

    fn cpu_micros(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.answers
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rate, cost) = (self.per_second(), self.cpu_micros());
        write!(f, "{rate:.0}/s, {cost:.2} µs of CPU each")
    }
}
