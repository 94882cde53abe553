//! `brokkr simulate` measures a broker with agents that have no cluster, tells what it saw, and leaves nothing.

use anyhow::{Context as _, Result, ensure};
use brokkr_e2e::{Cli, PATIENCE, Process, Stage, eventually};
use serde_json::Value;

on_both_engines!(without a cluster:
    a_simulation_delivers_what_it_publishes_and_leaves_nothing,
    a_simulation_outlives_its_broker_and_cleans_up_on_request,
    a_simulation_that_is_ended_cleans_up,
    a_second_signal_ends_the_cleanup,
);

async fn agents(cli: &Cli) -> Result<usize> {
    let listed = cli.does(&["agent", "list", "-o", "name"]).await?;
    Ok(listed.stdout.lines().count())
}

async fn a_simulation_delivers_what_it_publishes_and_leaves_nothing(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let cli = stage.operator(&broker).await?;
    let simulate = [
        "simulate",
        "--agents",
        "24",
        "--stacks",
        "2",
        "--reach",
        "10",
        "--publishes",
        "10",
        "--warm-up",
        "200ms",
        "--duration",
        "2s",
        "--apply-time",
        "5ms",
        "--failures",
        "50",
        "-o",
        "json",
    ];
    let said = cli.does(&simulate).await?;
    let report: Value = serde_json::from_str(&said.stdout)?;
    let number = |pointer: &str| {
        let number = report.pointer(pointer).and_then(Value::as_u64);
        number.with_context(|| format!("no {pointer} in {report:#}"))
    };
    // 2 in the warm-up, 20 that count.
    ensure!(number("/publishes_due")? == 20, "{report:#}");
    ensure!(number("/publishes/count")? == 20, "{report:#}");
    let (delivered, skipped) = (number("/deliveries/count")?, number("/skipped")?);
    ensure!(delivered <= 200 && delivered + skipped >= 200, "{report:#}");
    // The first one of each stack, and half of all attempts twice.
    let contents = number("/contents")?;
    ensure!(contents + skipped == (2 + 22) * 10, "{report:#}");
    ensure!(number("/events")? > contents, "{report:#}");
    ensure!(number("/wrong")? == 0, "{report:#}");
    nothing_is_left(&cli).await?;

    let refused = cli
        .ends(
            &["simulate", "--agents", "3", "--stacks", "2", "--reach", "2"],
            2,
        )
        .await?;
    ensure!(
        refused.stderr.contains("more than the 3 agents"),
        "{refused:?}"
    );
    let idle = [
        "simulate",
        "--agents",
        "1",
        "--publishes",
        "0.001",
        "--warm-up",
        "10ms",
        "--duration",
        "10ms",
    ];
    let measured_nothing = cli.ends(&idle, 1).await?;
    ensure!(
        measured_nothing.stderr.contains("take a longer --duration"),
        "{measured_nothing:?}"
    );
    Ok(())
}

async fn a_simulation_outlives_its_broker_and_cleans_up_on_request(stage: &Stage) -> Result<()> {
    let mut broker = stage.broker("broker").await?;
    let cli = stage.operator(&broker).await?;
    let mut simulation = cli.start(
        "simulation",
        &[
            "simulate",
            "--agents",
            "10",
            "--publishes",
            "20",
            "--warm-up",
            "0s",
            "--duration",
            "8s",
            "--keep",
        ],
    )?;
    eventually("events come", PATIENCE, async || {
        let events = cli
            .does(&["events", "--limit", "100", "-o", "json"])
            .await?;
        let events: Vec<Value> = serde_json::from_str(&events.stdout)?;
        ensure!(events.len() > 20, "{} of them", events.len());
        Ok(())
    })
    .await?;
    broker.kill().await?;
    broker.start_again().await?;
    let said = simulation.says("agents cut off").await?;
    ensure!(said.trim_start().starts_with("10 "), "{said}");
    ensure!(simulation.ended().await?.success());
    ensure!(agents(&cli).await? == 10);
    cli.does(&["simulate", "--clean"]).await?;
    ensure!(agents(&cli).await? == 0);
    Ok(())
}

/// A simulation that goes on until it is ended, with all its agents at work.
async fn begun(cli: &Cli, name: &str) -> Result<Process> {
    let simulate = [
        "simulate",
        "--agents",
        "10",
        "--publishes",
        "20",
        "--warm-up",
        "0s",
        "--duration",
        "10m",
    ];
    let simulation = cli.start(name, &simulate)?;
    says(&simulation, "Measuring").await?;
    ensure!(agents(cli).await? == 10);
    Ok(simulation)
}

async fn says(simulation: &Process, what: &str) -> Result<()> {
    eventually(&format!("it says {what}"), PATIENCE, async || {
        let said = simulation.log().await?;
        ensure!(said.contains(what), "{said}");
        Ok(())
    })
    .await
}

/// The code with which it ends soon.
async fn ended(simulation: &mut Process) -> Result<Option<i32>> {
    let ended = tokio::time::timeout(PATIENCE, simulation.ended()).await;
    Ok(ended.context("it goes on")??.code())
}

async fn nothing_is_left(cli: &Cli) -> Result<()> {
    for list in ["agent", "stack"] {
        let listed = cli.does(&[list, "list", "-o", "name"]).await?;
        ensure!(listed.stdout.is_empty(), "{listed:?}");
    }
    Ok(())
}

async fn a_simulation_that_is_ended_cleans_up(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let cli = stage.operator(&broker).await?;
    let mut interrupted = begun(&cli, "interrupted").await?;
    interrupted.interrupt()?;
    ensure!(ended(&mut interrupted).await? == Some(1));
    says(&interrupted, "ended before it was done").await?;
    nothing_is_left(&cli).await?;

    let mut terminated = begun(&cli, "terminated").await?;
    ensure!(terminated.terminate().await?.code() == Some(1));
    nothing_is_left(&cli).await
}

async fn a_second_signal_ends_the_cleanup(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let cli = stage.operator(&broker).await?;
    let mut simulation = begun(&cli, "simulation").await?;
    // A broker that does not answer would keep the cleanup for long.
    broker.process().suspend()?;
    simulation.interrupt()?;
    says(&simulation, "Cleaning up").await?;
    simulation.interrupt()?;
    ensure!(ended(&mut simulation).await? == Some(1));
    let said = simulation.log().await?;
    ensure!(
        said.contains("the cleanup was ended before it was done"),
        "{said}"
    );
    broker.process().resume()?;
    cli.does(&["simulate", "--clean"]).await?;
    nothing_is_left(&cli).await
}
