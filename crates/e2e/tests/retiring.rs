//! An agent that is deleted finishes with what it has in its cluster, or is abandoned; afterwards it lets go.

use anyhow::{Result, ensure};
use brokkr_core::wire::Agent;
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Cli, PATIENCE, Stage, TestStack, World, eventually};

on_both_engines!(
    an_agent_removes_its_stacks_and_is_retired,
    an_agent_keeps_its_stacks_and_is_retired,
    an_abandoned_agent_lets_go,
);

/// A cluster with one stack, and an agent of this name that runs it.
async fn scene(stage: &Stage) -> Result<(World, Cli, TestStack)> {
    let world = stage.world().await?;
    let cli = stage.operator(&world.broker).await?;
    let stack = world.stack("shop").await?;
    stack.roll_out(&config_map("a", "1")).await?;
    Ok((world, cli, stack))
}

async fn delete(world: &World, cli: &Cli, how: &[&str]) -> Result<String> {
    let name = world.agent.namespace().to_owned();
    // Nobody deletes it without saying what becomes of its stacks, or without a yes.
    let undecided = cli.ends(&["agent", "delete", &name, "--yes"], 1).await?;
    ensure!(undecided.stderr.contains("shop"), "{undecided:?}");
    let delete = [&["agent", "delete", &name], how].concat();
    let asked = cli.ends(&delete, 2).await?;
    ensure!(
        asked.stderr.contains("shop") && asked.stderr.contains("--yes"),
        "{asked:?}"
    );
    let said = cli.does(&[&delete[..], &["--yes"]].concat()).await?;
    Ok(said.stderr)
}

/// Waits until the agent is in no list any more.
async fn is_retired(cli: &Cli) -> Result<()> {
    eventually("the agent is retired", PATIENCE, async || {
        let agents: Vec<Agent> = cli.reads(&["agent", "list"]).await?;
        ensure!(agents.is_empty(), "{agents:?}");
        Ok(())
    })
    .await
}

async fn an_agent_removes_its_stacks_and_is_retired(stage: &Stage) -> Result<()> {
    let (mut world, cli, stack) = scene(stage).await?;
    // It is away at first, and so is retiring for a while.
    world.stop_agent().await?;
    let said = delete(&world, &cli, &["--workloads", "remove"]).await?;
    ensure!(said.contains("is retiring"), "{said}");
    let shown = cli.does(&["agent", "list"]).await?;
    ensure!(shown.stdout.contains("retiring"), "{shown:?}");
    let direct = [
        "stack",
        "target",
        "shop",
        "--agent",
        world.agent.namespace(),
    ];
    let refused = cli.ends(&direct, 1).await?;
    ensure!(refused.stderr.contains("retiring"), "{refused:?}");

    world.start_agent()?;
    is_retired(&cli).await?;
    let left = world.cluster.config_maps(&stack.namespace).await?;
    ensure!(!left.contains("a"), "{left:?}");
    Ok(())
}

async fn an_agent_keeps_its_stacks_and_is_retired(stage: &Stage) -> Result<()> {
    let (world, cli, stack) = scene(stage).await?;
    delete(&world, &cli, &["--workloads", "keep"]).await?;
    is_retired(&cli).await?;
    ensure!(world.cluster.value(&stack.namespace, "a").await? == "1");
    Ok(())
}

async fn an_abandoned_agent_lets_go(stage: &Stage) -> Result<()> {
    let (mut world, cli, stack) = scene(stage).await?;
    let said = delete(&world, &cli, &["--force"]).await?;
    ensure!(said.contains("Retired agent"), "{said}");
    is_retired(&cli).await?;
    let log = stage
        .directory()
        .join(format!("{}.log", world.agent.namespace()));
    eventually("it lets go", PATIENCE, async || {
        let log = std::fs::read_to_string(&log)?;
        ensure!(log.contains("this agent was retired"), "it does not say so");
        Ok(())
    })
    .await?;
    let polls = world.link.polls();
    ensure!(world.cluster.value(&stack.namespace, "a").await? == "1");
    world.agent.is_alive()?;
    // An agent in the place of the old one does not get in its way.
    let other = ["agent", "create", "another", "--key-file", "another.key"];
    cli.does(&other).await?;
    ensure!(world.link.polls() == polls, "it asks once an hour");
    world.stop_agent().await
}
