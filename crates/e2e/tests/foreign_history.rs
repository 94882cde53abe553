//! A broker whose database is another one harms nobody, and its users are told why nothing happens.

use anyhow::{Context, Result, ensure};
use brokkr_core::wire::Sync;
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{PATIENCE, Stage};

on_both_engines!(an_agent_holds_on_when_the_history_is_another_one);

async fn an_agent_holds_on_when_the_history_is_another_one(stage: &Stage) -> Result<()> {
    let mut world = stage.world().await?;
    let stack = world.stack("held").await?;
    let content = config_map("a", "1");
    stack.roll_out(&content).await?;
    let before = world.cluster.versions(&content, &stack.namespace).await?;

    world.broker.terminate().await?;
    stage.database().become_another().await?;
    world.broker.start_again().await?;
    stack.publish(&config_map("a", "2")).await?;

    stack.becomes(Sync::Held, None, PATIENCE).await?;
    let reason = stack.status().await?.reason.context("a reason")?;
    ensure!(reason.contains("another broker's history"), "{reason}");
    ensure!(world.cluster.versions(&content, &stack.namespace).await? == before);
    Ok(())
}
