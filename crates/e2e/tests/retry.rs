//! A failed apply is repeated, and succeeds by itself once its cause is gone.

use anyhow::{Result, ensure};
use brokkr_core::wire::{Action, Outcome, StackOptions, Sync};
use brokkr_e2e::manifests::{anvil, anvil_definition, config_map};
use brokkr_e2e::{PATIENCE, Stage, unique};

on_both_engines!(
    a_namespace_that_comes_later,
    a_definition_that_another_stack_brings_later
);

async fn a_namespace_that_comes_later(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let stack = world.stack_with("early", StackOptions::default()).await?;
    let sequence = stack.publish(&config_map("a", "1")).await?;
    let event = stack.event(Action::Apply, Outcome::Failed).await?;
    let says_why = event.reason.is_some() || event.objects.iter().any(|one| one.reason.is_some());
    ensure!(says_why, "{event:#?}");
    stack.becomes(Sync::Failed, None, PATIENCE).await?;

    world.cluster.create_namespace(&stack.namespace).await?;

    stack.synced(sequence).await?;
    stack.event(Action::Apply, Outcome::Succeeded).await?;
    ensure!(world.cluster.value(&stack.namespace, "a").await? == "1");
    Ok(())
}

async fn a_definition_that_another_stack_brings_later(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let group = format!("{}.example.test", unique());
    let anvils = world.stack("anvils").await?;
    let sequence = anvils.publish(&anvil(&group, "heavy")).await?;
    anvils.event(Action::Apply, Outcome::Failed).await?;

    let definitions = world.stack("definitions").await?;
    definitions.roll_out(&anvil_definition(&group)).await?;

    anvils.synced(sequence).await?;
    world
        .cluster
        .versions(&anvil(&group, "heavy"), &anvils.namespace)
        .await?;
    Ok(())
}
