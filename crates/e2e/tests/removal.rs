//! A stack that is untargeted or deleted leaves the cluster by an explicit, confirmed removal.

use anyhow::{Result, ensure};
use brokkr_core::wire::{Action, Outcome};
use brokkr_e2e::manifests::{config_map, deployment, snapshot};
use brokkr_e2e::{Stage, TestStack, World};

on_both_engines!(
    an_untargeted_stack_is_removed_and_confirmed,
    a_stack_deleted_while_the_agent_is_away_is_removed_when_it_is_back,
    an_agent_that_was_never_there_confirms_what_it_never_had,
);

async fn an_untargeted_stack_is_removed_and_confirmed(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let [going, staying] = two_stacks(&world).await?;

    going.untarget().await?;

    going.removal_confirmed().await?;
    only_the_other_is_left(&world, &going, &staying).await?;
    ensure!(!going.is_targeted().await?, "the target is closed");
    Ok(())
}

async fn a_stack_deleted_while_the_agent_is_away_is_removed_when_it_is_back(
    stage: &Stage,
) -> Result<()> {
    let mut world = stage.world().await?;
    let [going, staying] = two_stacks(&world).await?;
    world.agent.kill().await?;

    going.delete().await?;
    ensure!(
        going.open_removals().await? == 1,
        "the removal waits for the agent"
    );
    let still = world.cluster.find(&content(), &going.namespace).await?;
    ensure!(
        still.len() == 2,
        "nobody but the agent deletes: {:?}",
        still.keys()
    );

    world.start_agent()?;
    going.removal_confirmed().await?;
    only_the_other_is_left(&world, &going, &staying).await
}

async fn an_agent_that_was_never_there_confirms_what_it_never_had(stage: &Stage) -> Result<()> {
    let mut world = stage.world().await?;
    world.agent.kill().await?;
    let stack = world.stack("never").await?;
    stack.publish(&content()).await?;
    stack.delete().await?;

    world.start_agent()?;

    stack.removal_confirmed().await?;
    ensure!(
        world
            .cluster
            .find(&content(), &stack.namespace)
            .await?
            .is_empty()
    );
    Ok(())
}

fn content() -> String {
    snapshot([
        config_map("settings", "1"),
        deployment("web", "example.test/web:1"),
    ])
}

/// Two applied stacks, and a foreign object among those of the first.
async fn two_stacks(world: &World) -> Result<[TestStack; 2]> {
    let stacks = [world.stack("going").await?, world.stack("staying").await?];
    for stack in &stacks {
        stack.roll_out(&content()).await?;
    }
    world
        .cluster
        .create(&config_map("foreign", "1"), &stacks[0].namespace)
        .await?;
    Ok(stacks)
}

async fn only_the_other_is_left(
    world: &World,
    going: &TestStack,
    staying: &TestStack,
) -> Result<()> {
    let left = world.cluster.find(&content(), &going.namespace).await?;
    ensure!(
        left.is_empty(),
        "confirmed, and still there: {:?}",
        left.keys()
    );
    world
        .cluster
        .versions(&config_map("foreign", "1"), &going.namespace)
        .await?;
    world
        .cluster
        .versions(&content(), &staying.namespace)
        .await?;
    let event = going.event(Action::Remove, Outcome::Succeeded).await?;
    ensure!(event.deployment_object.is_none(), "{event:?}");
    Ok(())
}
