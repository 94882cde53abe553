//! While the broker is away agents carry on; what was said before it went happens when it is back.

use anyhow::{Result, ensure};
use brokkr_e2e::manifests::{config_map, snapshot};
use brokkr_e2e::{PATIENCE, Stage, eventually};

on_both_engines!(
    a_removal_survives_the_absence_of_both_sides,
    an_agent_that_starts_without_a_broker_changes_nothing,
);

async fn a_removal_survives_the_absence_of_both_sides(stage: &Stage) -> Result<()> {
    let mut world = stage.world().await?;
    let stack = world.stack("away").await?;
    stack.roll_out(&config_map("a", "1")).await?;
    world.agent.kill().await?;
    stack.untarget().await?;
    world.broker.kill().await?;
    world.start_agent()?;
    world.broker.start_again().await?;

    stack.removal_confirmed().await?;
    let left = world.cluster.config_maps(&stack.namespace).await?;
    ensure!(left.is_empty(), "{left:?}");
    Ok(())
}

async fn an_agent_that_starts_without_a_broker_changes_nothing(stage: &Stage) -> Result<()> {
    let mut world = stage.polling_world().await?;
    let stack = world.stack("alone").await?;
    let content = snapshot([config_map("a", "1"), config_map("b", "1")]);
    stack.roll_out(&content).await?;
    let before = world.cluster.versions(&content, &stack.namespace).await?;
    world.agent.kill().await?;
    let ended = world.broker.terminate().await?;
    ensure!(ended.success(), "the broker ended with {ended} on SIGTERM");

    world.start_agent()?;
    let tried = world.link.attempts() + 3;
    eventually("the agent keeps trying", PATIENCE, async || {
        let attempts = world.link.attempts();
        ensure!(attempts >= tried, "{attempts} of {tried} attempts");
        Ok(())
    })
    .await?;
    world.agent.is_alive()?;
    ensure!(world.cluster.versions(&content, &stack.namespace).await? == before);

    world.broker.start_again().await?;
    stack.roll_out(&snapshot([config_map("a", "2")])).await?;
    let left = world.cluster.config_maps(&stack.namespace).await?;
    ensure!(left.iter().eq(["a"]), "{left:?}");
    Ok(())
}
