//! While a stack, an agent or all agents are paused, nothing is changed in the cluster, what differs is said, and all goes
//! on afterwards.

use anyhow::{Result, ensure};
use brokkr_core::wire::{Sync, TargetStatus};
use brokkr_e2e::manifests::{config_map, snapshot};
use brokkr_e2e::{Cli, PATIENCE, Stage, TestStack, World, eventually};

on_both_engines!(
    a_paused_stack_is_left_alone_until_it_is_resumed,
    a_paused_agent_removes_nothing_until_it_is_resumed,
    a_paused_fleet_is_left_alone_until_it_is_resumed,
);

async fn scene(stage: &Stage) -> Result<(World, Cli)> {
    let world = stage.world().await?;
    let cli = stage.operator(&world.broker).await?;
    Ok((world, cli))
}

/// Waits until the status of a stack says that it is paused, and all of these.
async fn is_said(stack: &TestStack, words: &[&str]) -> Result<TargetStatus> {
    eventually("the pause is said", PATIENCE, async || {
        let status = stack.status().await?;
        let reason = status.reason.clone().unwrap_or_default();
        let is_said = words.iter().all(|word| reason.contains(word));
        ensure!(
            status.sync == Sync::Held && status.paused.is_paused() && is_said,
            "{status:?}"
        );
        Ok(status)
    })
    .await
}

async fn value(world: &World, stack: &TestStack) -> Result<String> {
    world.cluster.value(&stack.namespace, "a").await
}

async fn a_paused_stack_is_left_alone_until_it_is_resumed(stage: &Stage) -> Result<()> {
    let (world, cli) = scene(stage).await?;
    let stack = world.stack("shop").await?;
    let other = world.stack("mail").await?;
    let two = snapshot([config_map("a", "1"), config_map("b", "1")]);
    stack.roll_out(&two).await?;
    let said = cli.does(&["stack", "pause", "shop"]).await?;
    ensure!(said.stderr.contains("brokkr stack resume shop"), "{said:?}");
    // The agent knows no stack by its generator, so its words leave the name to the command line.
    is_said(&stack, &["brokkr stack resume STACK", "has version 1"]).await?;

    // A publish that changes, adds and drops; the command that waits for it says why it does not.
    let file = stage.directory().join("next.yaml");
    std::fs::write(
        &file,
        snapshot([config_map("a", "2"), config_map("c", "2")]),
    )?;
    let apply = [
        "apply",
        "-f",
        "next.yaml",
        "--stack",
        "shop",
        "--yes",
        "--wait",
    ];
    let said = cli.ends(&apply, 1).await?;
    ensure!(said.stderr.contains("brokkr stack resume shop"), "{said:?}");
    let three = [
        "3 objects differ from version 2",
        "ConfigMap",
        "nothing is changed",
    ];
    let status = is_said(&stack, &three).await?;
    ensure!(
        status.desired == Some(2) && status.applied == Some(1),
        "{status:?}"
    );
    let shown = cli.does(&["status", "shop"]).await?;
    ensure!(
        shown.stdout.contains("brokkr stack resume shop"),
        "{shown:?}"
    );
    // Another stack goes on, and meanwhile this one would have, too.
    other.roll_out(&config_map("a", "1")).await?;
    ensure!(value(&world, &stack).await? == "1");

    cli.does(&["stack", "resume", "shop"]).await?;
    stack.synced(2).await?;
    ensure!(value(&world, &stack).await? == "2");
    let names = world.cluster.config_maps(&stack.namespace).await?;
    ensure!(names.contains("c") && !names.contains("b"), "{names:?}");
    Ok(())
}

async fn a_paused_agent_removes_nothing_until_it_is_resumed(stage: &Stage) -> Result<()> {
    let (mut world, cli) = scene(stage).await?;
    let [going, staying] = [world.stack("going").await?, world.stack("staying").await?];
    for stack in [&going, &staying] {
        stack.roll_out(&config_map("a", "1")).await?;
    }
    let agent = world.agent.namespace().to_owned();
    cli.does(&["agent", "pause", &agent]).await?;
    let shown = cli.does(&["agent", "get", &agent]).await?;
    ensure!(shown.stdout.contains("paused"), "{shown:?}");
    is_said(&staying, &["brokkr agent resume"]).await?;

    going.untarget().await?;
    world.stop_agent().await?;
    world.start_agent()?;
    is_said(&staying, &["brokkr agent resume"]).await?;
    let status = going.status().await?;
    ensure!(
        status.sync == Sync::Removing && status.paused.agent,
        "{status:?}"
    );
    ensure!(value(&world, &going).await? == "1" && going.open_removals().await? == 1);

    cli.does(&["agent", "resume", &agent]).await?;
    going.removal_confirmed().await?;
    staying.synced(1).await?;
    let left = world.cluster.config_maps(&going.namespace).await?;
    ensure!(!left.contains("a"), "{left:?}");
    Ok(())
}

async fn a_paused_fleet_is_left_alone_until_it_is_resumed(stage: &Stage) -> Result<()> {
    let (mut world, cli) = scene(stage).await?;
    let stack = world.stack("shop").await?;
    stack.roll_out(&config_map("a", "1")).await?;
    cli.does(&["settings", "set", "--paused", "true"]).await?;
    is_said(&stack, &["all agents are paused"]).await?;

    // What somebody edits meanwhile is found by whoever starts anew, and stays.
    let edited = config_map("a", "edited");
    world
        .cluster
        .delete(&config_map("a", "1"), &stack.namespace)
        .await?;
    world.cluster.create(&edited, &stack.namespace).await?;
    world.stop_agent().await?;
    world.start_agent()?;
    let words = [
        "1 object differs from version 1",
        "brokkr settings set --paused false",
    ];
    is_said(&stack, &words).await?;
    ensure!(value(&world, &stack).await? == "edited");

    world.cluster.delete(&edited, &stack.namespace).await?;
    cli.does(&["settings", "set", "--paused", "false"]).await?;
    stack.synced(1).await?;
    eventually("it is repaired", PATIENCE, async || {
        let value = value(&world, &stack).await?;
        ensure!(value == "1", "{value}");
        Ok(())
    })
    .await
}
