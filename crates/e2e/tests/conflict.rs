//! Somebody else's object of the same name is a conflict: named, and not touched.

use anyhow::{Context, Result, ensure};
use brokkr_core::wire::{Action, ObjectResult, Outcome};
use brokkr_e2e::Stage;
use brokkr_e2e::manifests::{config_map, snapshot};

on_both_engines!(
    a_foreign_object_is_a_conflict_and_is_not_touched,
    an_object_of_another_stack_is_a_conflict_too,
);

async fn a_foreign_object_is_a_conflict_and_is_not_touched(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let stack = world.stack("conflict").await?;
    let foreign = config_map("theirs", "theirs");
    world.cluster.create_namespace(&stack.namespace).await?;
    world.cluster.create(&foreign, &stack.namespace).await?;
    let before = world.cluster.versions(&foreign, &stack.namespace).await?;

    let sequence = stack
        .publish(&snapshot([
            config_map("theirs", "ours"),
            config_map("free", "1"),
        ]))
        .await?;

    let event = stack.event(Action::Apply, Outcome::Failed).await?;
    let conflict = event
        .objects
        .iter()
        .find(|one| one.result == ObjectResult::Conflict);
    let conflict = conflict.with_context(|| format!("{event:#?}"))?;
    ensure!(
        conflict.object.name == "theirs" && conflict.reason.is_some(),
        "{conflict:?}"
    );
    stack
        .event_with("the attempt is repeated", |event| event.count > 1)
        .await?;
    ensure!(world.cluster.versions(&foreign, &stack.namespace).await? == before);

    world.cluster.delete(&foreign, &stack.namespace).await?;
    stack.synced(sequence).await?;
    ensure!(world.cluster.value(&stack.namespace, "theirs").await? == "ours");
    Ok(())
}

async fn an_object_of_another_stack_is_a_conflict_too(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let [first, second] = [world.stack("first").await?, world.stack("second").await?];
    let object = |value| {
        let place = format!("name: shared\n  namespace: {}", first.namespace);
        config_map("shared", value).replace("name: shared", &place)
    };
    first.roll_out(&object("first")).await?;
    let before = world
        .cluster
        .versions(&object("first"), &first.namespace)
        .await?;

    second.publish(&object("second")).await?;

    second.event(Action::Apply, Outcome::Failed).await?;
    second.untarget().await?;
    second.removal_confirmed().await?;
    ensure!(
        world
            .cluster
            .versions(&object("first"), &first.namespace)
            .await?
            == before
    );
    Ok(())
}
