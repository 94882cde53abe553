//! An object that a newer snapshot dropped goes, and nothing else does.

use anyhow::{Result, ensure};
use brokkr_core::wire::{ObjectResult, Outcome};
use brokkr_e2e::Stage;
use brokkr_e2e::manifests::{config_map, snapshot};

on_both_engines!(
    a_dropped_object_is_pruned_and_nothing_else,
    versions_in_between_may_be_skipped
);

async fn a_dropped_object_is_pruned_and_nothing_else(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let stack = world.stack("prune").await?;
    let kept = [config_map("a", "1"), config_map("c", "1")];
    stack
        .roll_out(&snapshot([&kept[0], &config_map("dropped", "1"), &kept[1]]))
        .await?;
    let foreign = config_map("foreign", "1");
    world.cluster.create(&foreign, &stack.namespace).await?;
    let all = snapshot([&kept[0], &kept[1], &foreign]);
    let before = world.cluster.versions(&all, &stack.namespace).await?;

    stack.roll_out(&snapshot(&kept)).await?;

    let names = world.cluster.config_maps(&stack.namespace).await?;
    ensure!(names.iter().eq(["a", "c", "foreign"]), "{names:?}");
    ensure!(world.cluster.versions(&all, &stack.namespace).await? == before);
    let event = stack
        .event_with("the update is reported", |event| event.sequence == Some(2))
        .await?;
    let pruned = event
        .objects
        .iter()
        .filter(|one| one.result == ObjectResult::Pruned);
    let names: Vec<_> = pruned.map(|one| one.object.name.as_str()).collect();
    ensure!(
        event.outcome == Outcome::Succeeded && names == ["dropped"],
        "{event:#?}"
    );
    Ok(())
}

/// What a skipped version would have dropped is dropped all the same.
async fn versions_in_between_may_be_skipped(stage: &Stage) -> Result<()> {
    let mut world = stage.world().await?;
    let stack = world.stack("skip").await?;
    stack
        .roll_out(&snapshot([config_map("a", "1"), config_map("b", "1")]))
        .await?;
    world.stop_agent().await?;
    for value in ["2", "3", "4"] {
        stack
            .publish(&snapshot([config_map("a", value), config_map("c", value)]))
            .await?;
    }
    stack.publish(&config_map("a", "5")).await?;

    world.start_agent()?;
    stack.synced(5).await?;

    let names = world.cluster.config_maps(&stack.namespace).await?;
    ensure!(names.iter().eq(["a"]), "{names:?}");
    ensure!(world.cluster.value(&stack.namespace, "a").await? == "5");
    Ok(())
}
