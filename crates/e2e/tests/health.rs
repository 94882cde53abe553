//! What was applied and what works are two things, and the status tells both.

use anyhow::{Result, ensure};
use brokkr_core::wire::Health;
use brokkr_e2e::manifests::deployment;
use brokkr_e2e::{PATIENCE, Stage, TestStack, eventually, hold};

on_both_engines!(a_workload_that_cannot_start_is_synced_and_not_current);

async fn a_workload_that_cannot_start_is_synced_and_not_current(stage: &Stage) -> Result<()> {
    let world = stage.polling_world().await?;
    let stack = world.stack("health").await?;
    let (works, cannot) = (deployment("web", "works:1"), deployment("web", "broken:1"));
    stack.roll_out(&works).await?;
    is(&stack, |health| health == Health::Current).await?;

    stack.roll_out(&cannot).await?;
    is(&stack, |health| health != Health::Current).await?;
    let end = world.link.polls() + 10;
    let over = async || {
        ensure!(world.link.polls() >= end, "still polling");
        Ok(())
    };
    hold("it does not become current", PATIENCE, over, async || {
        let status = stack.status().await?;
        ensure!(status.health != Health::Current, "{status:?}");
        Ok(())
    })
    .await?;

    stack.roll_out(&works).await?;
    is(&stack, |health| health == Health::Current).await
}

async fn is(stack: &TestStack, as_wanted: impl Fn(Health) -> bool) -> Result<()> {
    eventually(
        "the status tells the workload's health",
        PATIENCE,
        async || {
            let status = stack.status().await?;
            ensure!(as_wanted(status.health), "{status:?}");
            Ok(())
        },
    )
    .await
}
