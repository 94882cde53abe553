//! Namespaces, definitions and claims are kept when they are dropped or their stack is removed,
//! unless somebody said that they may be deleted.

use anyhow::{Result, ensure};
use brokkr_core::KeptKind;
use brokkr_core::wire::{Action, AgentEvent, ObjectResult, Outcome};
use brokkr_e2e::manifests::{anvil_definition, claim, config_map, namespace, snapshot};
use brokkr_e2e::{Cluster, PATIENCE, Stage, eventually, unique};

on_both_engines!(
    dropped_from_a_snapshot_they_stay,
    removed_with_their_stack_they_stay,
    a_publish_may_delete_them,
    a_removal_may_delete_them,
);

async fn dropped_from_a_snapshot_they_stay(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let stack = world.stack("kept").await?;
    let (rest, kept) = (config_map("rest", "1"), kept_kinds());
    stack.roll_out(&snapshot([&rest, &kept])).await?;
    let before = world.cluster.versions(&kept, &stack.namespace).await?;

    stack.roll_out(&rest).await?;

    let event = stack
        .event_with("the update is reported", |event| event.sequence == Some(2))
        .await?;
    all_are_reported(&event)?;
    stack.untarget().await?;
    stack.removal_confirmed().await?;
    let after = world.cluster.find(&kept, &stack.namespace).await?;
    ensure!(
        after.keys().eq(before.keys()),
        "deleted without leave: {:?}",
        after.keys()
    );
    Ok(())
}

async fn removed_with_their_stack_they_stay(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let stack = world.stack("kept").await?;
    let (rest, kept) = (config_map("rest", "1"), kept_kinds());
    stack.roll_out(&snapshot([&rest, &kept])).await?;

    stack.untarget().await?;
    stack.removal_confirmed().await?;

    ensure!(
        world
            .cluster
            .find(&rest, &stack.namespace)
            .await?
            .is_empty()
    );
    world.cluster.versions(&kept, &stack.namespace).await?;
    all_are_reported(&stack.event(Action::Remove, Outcome::Succeeded).await?)
}

async fn a_publish_may_delete_them(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let stack = world.stack("leave").await?;
    let (rest, kept) = (config_map("rest", "1"), kept_kinds());
    stack.roll_out(&snapshot([&rest, &kept])).await?;

    let sequence = stack.publish_allowing(&rest, &KeptKind::ALL).await?;

    stack.synced(sequence).await?;
    are_gone(&world.cluster, &kept, &stack.namespace).await
}

async fn a_removal_may_delete_them(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let stack = world.stack("leave").await?;
    let kept = kept_kinds();
    stack.roll_out(&kept).await?;

    stack.untarget_allowing(&KeptKind::ALL).await?;

    stack.removal_confirmed().await?;
    are_gone(&world.cluster, &kept, &stack.namespace).await
}

/// One object of each kept kind.
fn kept_kinds() -> String {
    let word = unique();
    let definition = anvil_definition(&format!("{word}.example.test"));
    snapshot([
        namespace(&format!("kept-{word}")),
        definition,
        claim("data"),
    ])
}

fn all_are_reported(event: &AgentEvent) -> Result<()> {
    let kept = event
        .objects
        .iter()
        .filter(|one| one.result == ObjectResult::Kept)
        .count();
    ensure!(kept == KeptKind::ALL.len(), "{event:#?}");
    Ok(())
}

async fn are_gone(cluster: &Cluster, snapshot: &str, namespace: &str) -> Result<()> {
    eventually(
        "objects that may be deleted are gone",
        PATIENCE,
        async || {
            let left = cluster.find(snapshot, namespace).await?;
            ensure!(left.is_empty(), "{:?}", left.keys());
            Ok(())
        },
    )
    .await
}
