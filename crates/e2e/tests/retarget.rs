//! Targeting a stack again before its removal was confirmed withdraws the removal.

use anyhow::{Result, ensure};
use brokkr_e2e::Stage;
use brokkr_e2e::manifests::{config_map, snapshot};

on_both_engines!(
    a_removal_that_nobody_has_seen_is_withdrawn,
    a_stack_can_come_back_after_its_removal
);

async fn a_removal_that_nobody_has_seen_is_withdrawn(stage: &Stage) -> Result<()> {
    let mut world = stage.world().await?;
    let stack = world.stack("retarget").await?;
    let unchanged = [config_map("a", "1"), config_map("b", "1")];
    stack
        .roll_out(&snapshot([
            &unchanged[0],
            &unchanged[1],
            &config_map("c", "1"),
        ]))
        .await?;
    let before = world
        .cluster
        .versions(&snapshot(&unchanged), &stack.namespace)
        .await?;
    world.agent.kill().await?;

    stack.untarget().await?;
    ensure!(stack.open_removals().await? == 1);
    stack.target().await?;
    ensure!(
        stack.open_removals().await? == 0,
        "the new target withdraws the removal"
    );

    world.start_agent()?;
    stack
        .roll_out(&snapshot([
            &unchanged[0],
            &unchanged[1],
            &config_map("c", "2"),
        ]))
        .await?;
    let after = world
        .cluster
        .versions(&snapshot(&unchanged), &stack.namespace)
        .await?;
    ensure!(before == after, "{before:?} became {after:?}");
    Ok(())
}

async fn a_stack_can_come_back_after_its_removal(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let stack = world.stack("back").await?;
    stack.roll_out(&config_map("a", "1")).await?;
    stack.untarget().await?;
    stack.removal_confirmed().await?;

    stack.target().await?;

    stack.synced(1).await?;
    ensure!(world.cluster.value(&stack.namespace, "a").await? == "1");
    Ok(())
}
