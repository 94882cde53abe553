//! Whatever answers in the broker's place, the agent keeps what it has: absence is never deletion.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use brokkr_client::Poll;
use brokkr_core::wire::TargetState;
use brokkr_e2e::manifests::{config_map, snapshot};
use brokkr_e2e::{Impostor, Pace, Route, Stage, World};

mod lies;

on_both_engines!(no_answer_but_a_brokers_changes_the_cluster);

/// How often the agent hears each lie.
const TIMES: u64 = 2;

async fn no_answer_but_a_brokers_changes_the_cluster(stage: &Stage) -> Result<()> {
    let mut world = stage.polling_world().await?;
    let stack = world.stack("answers").await?;
    let content = snapshot(["a", "b", "c"].map(|name| config_map(name, "1")));
    stack.roll_out(&content).await?;
    let before = world.cluster.versions(&content, &stack.namespace).await?;

    let lies = lies::about(&true_state(&world).await?)?;
    let impostor = Impostor::start(lies[0].clone()).await?;
    for lie in lies {
        let name = lie.name;
        hears_the_truth(&world).await?;
        world.link.switch(Route::Through(impostor.address()));
        impostor.tell(lie, TIMES).await?;
        world.agent.is_alive()?;
        let after = world.cluster.versions(&content, &stack.namespace).await;
        let after = after.with_context(|| format!("after `{name}`"))?;
        ensure!(
            after == before,
            "after `{name}`: {after:?} instead of {before:?}"
        );
        // The next agent has nothing but what the cluster remembers.
        world.agent.kill().await?;
        world.agent.start(Pace::Polling)?;
    }

    world.link.switch(Route::Through(world.broker.address()));
    stack.publish(&content.replace("\"1\"", "\"2\"")).await?;
    stack.roll_out(&config_map("a", "3")).await?;
    let names = world.cluster.config_maps(&stack.namespace).await?;
    ensure!(
        names.iter().eq(["a"]),
        "the broker itself is heard again: {names:?}"
    );
    Ok(())
}

async fn hears_the_truth(world: &World) -> Result<()> {
    world.link.switch(Route::Through(world.broker.address()));
    world.polls(2).await
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
