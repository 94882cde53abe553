//! A list that comes back empty for a while: from the broker, and from the API server.

use std::time::Duration;

use anyhow::{Result, ensure};
use brokkr_client::Poll;
use brokkr_core::wire::{StackOptions, Sync, TargetState};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{ApiFront, Cluster, Impostor, Lie, PATIENCE, Route, Stage, Weather, World};

use super::{OBJECTS, objects, shows, uids};

on_both_engines!(
    the_broker_answers_with_nothing_for_a_while,
    the_api_server_forgets_its_lists_for_a_while
);

/// So few that no guard would hold their loss.
const FEW: usize = 4;

async fn the_broker_answers_with_nothing_for_a_while(stage: &Stage) -> Result<()> {
    let world = stage.polling_world().await?;
    let cli = stage.operator(&world.broker).await?;
    let stack = world.stack("shop").await?;
    let content = objects(FEW, "1");
    stack.roll_out(&content).await?;
    let before = uids(&world, &stack, &content).await?;

    let nothing = TargetState {
        stacks: Vec::new(),
        ..true_state(&world).await?
    };
    let lie = Lie {
        name: "no stacks",
        status: "200 OK",
        content_type: "application/json",
        body: serde_json::to_string(&nothing)?,
        withheld: 0,
    };
    let impostor = Impostor::start(lie.clone()).await?;
    world.link.switch(Route::Through(impostor.address()));
    // A second and more, at five polls a second; reports are answered so too.
    impostor.tell(lie, 10).await?;
    ensure!(uids(&world, &stack, &content).await? == before);
    shows(&cli, &["status", "shop"], &["Synced", "Current"]).await?;

    world.link.switch(Route::Through(world.broker.address()));
    let newer = objects(FEW, "2");
    stack.roll_out(&newer).await?;
    ensure!(uids(&world, &stack, &newer).await? == before);
    shows(&cli, &["removals", "list"], &[]).await?;
    ensure!(stack.open_removals().await? == 0);
    Ok(())
}

async fn true_state(world: &World) -> Result<TargetState> {
    let client = world.broker.client(world.agent.key())?;
    match client
        .target_state(None, Duration::ZERO, Duration::from_secs(1))
        .await?
    {
        Poll::Changed { state, .. } => Ok(*state),
        Poll::Unchanged => anyhow::bail!("a first poll is answered whole"),
    }
}

async fn the_api_server_forgets_its_lists_for_a_while(stage: &Stage) -> Result<()> {
    let cluster = Cluster::connect().await?;
    let front = ApiFront::start(&cluster, stage.directory()).await?;
    let mut world = stage.world_through(front.kubeconfig()).await?;
    let cli = stage.operator(&world.broker).await?;
    let stack = world.stack("shop").await?;
    let going = world
        .untargeted_stack(
            "going",
            StackOptions {
                create_namespace: true,
                ..StackOptions::default()
            },
        )
        .await?;
    going.target().await?;
    let (content, leaving) = (objects(OBJECTS, "1"), objects(OBJECTS, "x"));
    stack.roll_out(&content).await?;
    going.roll_out(&leaving).await?;
    let before = uids(&world, &stack, &content).await?;
    let gone = uids(&world, &going, &leaving).await?;

    // The agent starts anew, is asked for an update and for a removal, and is shown nothing of what it has.
    world.agent.kill().await?;
    front.turn(Weather::Forgetful);
    let newer = objects(OBJECTS, "2");
    let sequence = stack.publish(&newer).await?;
    cli.does(&["stack", "delete", "going", "--yes"]).await?;
    world.start_agent()?;
    front.forgot(4).await?;
    ensure!(uids(&world, &stack, &content).await? == before);
    let left = world.cluster.find(&leaving, &going.namespace).await?;
    let confirmed = going.open_removals().await? == 0;
    ensure!(
        left.is_empty() || !confirmed,
        "confirmed as gone, while {} are there",
        left.len()
    );

    front.turn(Weather::Fair);
    stack
        .becomes(Sync::Synced, Some(sequence), PATIENCE)
        .await?;
    ensure!(uids(&world, &stack, &newer).await? == before);
    shows(&cli, &["status", "shop"], &["Synced", "Current"]).await?;
    going.removal_confirmed().await?;
    let left = world.cluster.find(&leaving, &going.namespace).await?;
    ensure!(
        left.is_empty() && gone.len() == OBJECTS,
        "{:?}",
        left.keys()
    );
    // What the agent did not make is as it was: somebody's object of that name would have been a conflict.
    let maps = world.cluster.config_maps(&stack.namespace).await?;
    ensure!(maps.len() == OBJECTS, "{maps:?}");
    stack.roll_out(&config_map("part-00", "3")).await?;
    Ok(())
}
