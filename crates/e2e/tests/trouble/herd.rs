//! All agents come back at once, to a broker that starts, and to one that gets little of the processor.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use brokkr_e2e::{Broker, Cli, PATIENCE, Stage, eventually};
use serde_json::Value;
use tokio::time::sleep;

use super::is_torture;

mod on_sqlite {
    test!(a_herd_that_comes_back_is_served on Sqlite);
    test!(a_broker_that_seldom_runs_serves_all_in_time on Sqlite);
}

/// The rest is what the simulation says of itself.
async fn simulate(
    stage: &Stage,
    cli: &Cli,
    agents: usize,
    seconds: u64,
    trouble: impl AsyncFnOnce() -> Result<()>,
) -> Result<Value> {
    let (agents, seconds) = (agents.to_string(), format!("{seconds}s"));
    let arguments = [
        "simulate",
        "--agents",
        &agents,
        "--publishes",
        "2",
        "--warm-up",
        "0s",
        "--duration",
        &seconds,
        "--failures",
        "0",
        "-o",
        "json",
    ];
    let mut simulation = cli.start("simulation", &arguments)?;
    eventually("all agents have their state", PATIENCE, async || {
        let log = std::fs::read_to_string(stage.directory().join("simulation.log"))?;
        ensure!(log.contains("Measuring"), "{log}");
        Ok(())
    })
    .await?;
    trouble().await?;
    let ended = simulation.ended().await?;
    ensure!(ended.success(), "{ended:?}");
    let report: Value = serde_json::from_str(&simulation.said().await?)?;
    ensure!(report["wrong"] == 0, "{report:#}");
    ensure!(report["late"].is_null(), "{report:#}");
    let failures = report["failures"].as_object().context("failures")?;
    // Gone, stopping, or too busy, and nothing else.
    let is_allowed = |kind: &String| kind == "unreachable" || kind == "unavailable";
    ensure!(failures.keys().all(is_allowed), "{report:#}");
    Ok(report)
}

async fn a_herd_that_comes_back_is_served(stage: &Stage) -> Result<()> {
    let mut broker = stage.broker("broker").await?;
    let cli = stage.operator(&broker).await?;
    let agents = if is_torture() { 4_000 } else { 500 };
    let report = simulate(stage, &cli, agents, 6, async || {
        let before = broker.process().memory()?;
        for _ in 0..2 {
            broker.kill().await?;
            broker.start_again().await?;
            sleep(Duration::from_secs(1)).await;
        }
        let after = broker.process().memory()?;
        ensure!(after < 2 * before, "{after} bytes, and {before} before");
        Ok(())
    })
    .await?;
    let came_back = report["outages"]["count"].as_u64();
    ensure!(came_back >= Some(agents as u64 / 2), "{report:#}");
    Ok(())
}

/// A fifth of the time, as where a limit of the processor throttles it.
async fn a_broker_that_seldom_runs_serves_all_in_time(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let cli = stage.operator(&broker).await?;
    let report = simulate(stage, &cli, 50, 6, async || {
        throttle(&broker, Duration::from_secs(5)).await
    })
    .await?;
    ensure!(
        report["deliveries"]["count"].as_u64() > Some(100),
        "{report:#}"
    );
    Ok(())
}

async fn throttle(broker: &Broker, time: Duration) -> Result<()> {
    const PERIOD: Duration = Duration::from_millis(100);
    let end = tokio::time::Instant::now() + time;
    while tokio::time::Instant::now() < end {
        broker.process().suspend()?;
        sleep(PERIOD * 4 / 5).await;
        broker.process().resume()?;
        sleep(PERIOD / 5).await;
    }
    Ok(())
}
