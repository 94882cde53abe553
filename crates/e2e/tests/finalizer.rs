//! A removal is confirmed when everything is gone, not when its deletion was asked for.

use anyhow::{Context, Result, ensure};
use brokkr_core::wire::Sync;
use brokkr_e2e::manifests::{config_map, snapshot};
use brokkr_e2e::{PATIENCE, Stage, eventually, hold};

on_both_engines!(a_removal_waits_for_what_is_still_ending);

async fn a_removal_waits_for_what_is_still_ending(stage: &Stage) -> Result<()> {
    let world = stage.polling_world().await?;
    let stack = world.stack("finalizer").await?;
    let name = "name: slow\n  finalizers: [example.test/slow]";
    let slow = config_map("slow", "1").replace("name: slow", name);
    stack
        .roll_out(&snapshot([&slow, &config_map("quick", "1")]))
        .await?;

    stack.untarget().await?;
    eventually("the deletion is asked for", PATIENCE, async || {
        let found = world.cluster.find(&slow, &stack.namespace).await?;
        let object = found.into_values().next().context("the object")?;
        ensure!(
            object.metadata.deletion_timestamp.is_some(),
            "{:?}",
            object.metadata
        );
        Ok(())
    })
    .await?;
    let end = world.link.polls() + 10;
    let over = async || {
        ensure!(world.link.polls() >= end, "still polling");
        Ok(())
    };
    hold("the removal stays open", PATIENCE, over, async || {
        let status = stack.status().await?;
        ensure!(status.sync == Sync::Removing, "{status:?}");
        ensure!(stack.open_removals().await? == 1, "confirmed too early");
        Ok(())
    })
    .await?;

    world.cluster.finalize(&slow, &stack.namespace).await?;

    stack.removal_confirmed().await?;
    let left = world.cluster.config_maps(&stack.namespace).await?;
    ensure!(left.is_empty(), "confirmed, and still there: {left:?}");
    Ok(())
}
