//! While the broker is away agents carry on; what was said before it went happens when it is back.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use brokkr_client::EventFilter;
use brokkr_core::wire::ObjectResult;
use brokkr_e2e::manifests::{config_map, snapshot};
use brokkr_e2e::{PATIENCE, Stage, World, eventually};

on_both_engines!(
    a_removal_survives_the_absence_of_both_sides,
    an_agent_that_starts_without_a_broker_changes_nothing,
    an_agent_that_starts_without_a_broker_goes_on_from_its_cache,
    whatever_was_published_meanwhile_is_one_state_and_what_differs,
);

async fn a_removal_survives_the_absence_of_both_sides(stage: &Stage) -> Result<()> {
    let mut world = stage.world().await?;
    let stack = world.stack("away").await?;
    stack.roll_out(&config_map("a", "1")).await?;
    world.agent.kill().await?;
    stack.untarget().await?;
    world.broker.kill().await?;
    world.start_agent()?;
    world.broker.start_again().await?;

    stack.removal_confirmed().await?;
    let left = world.cluster.config_maps(&stack.namespace).await?;
    ensure!(left.is_empty(), "{left:?}");
    Ok(())
}

async fn an_agent_that_starts_without_a_broker_changes_nothing(stage: &Stage) -> Result<()> {
    let mut world = stage.polling_world().await?;
    let stack = world.stack("alone").await?;
    let content = snapshot([config_map("a", "1"), config_map("b", "1")]);
    stack.roll_out(&content).await?;
    let before = world.cluster.versions(&content, &stack.namespace).await?;
    world.agent.kill().await?;
    let ended = world.broker.terminate().await?;
    ensure!(ended.success(), "the broker ended with {ended} on SIGTERM");

    world.start_agent()?;
    let tried = world.link.attempts() + 3;
    eventually("the agent keeps trying", PATIENCE, async || {
        let attempts = world.link.attempts();
        ensure!(attempts >= tried, "{attempts} of {tried} attempts");
        Ok(())
    })
    .await?;
    world.agent.is_alive()?;
    ensure!(world.cluster.versions(&content, &stack.namespace).await? == before);

    world.broker.start_again().await?;
    stack.roll_out(&snapshot([config_map("a", "2")])).await?;
    let left = world.cluster.config_maps(&stack.namespace).await?;
    ensure!(left.iter().eq(["a"]), "{left:?}");
    Ok(())
}

/// It repairs after each of two starts, and tells of both repairs when it can: each of them once.
async fn an_agent_that_starts_without_a_broker_goes_on_from_its_cache(stage: &Stage) -> Result<()> {
    let mut world = stage.world_at_rest(None).await?;
    world.agent.keep_cache();
    world.start_agent()?;
    let stack = world.stack("alone").await?;
    let content = snapshot([config_map("a", "1"), config_map("b", "1")]);
    stack.roll_out(&content).await?;
    world.agent.kill().await?;
    world.broker.kill().await?;

    for name in ["a", "b"] {
        world.start_agent()?;
        let object = config_map(name, "1");
        world.cluster.delete(&object, &stack.namespace).await?;
        eventually("it is there again", PATIENCE, async || {
            let value = world.cluster.value(&stack.namespace, name).await?;
            ensure!(value == "1", "{value}");
            Ok(())
        })
        .await?;
        world.stop_agent().await?;
    }

    world.broker.start_again().await?;
    world.start_agent()?;
    for name in ["a", "b"] {
        stack
            .event_with("the repair is told", |event| {
                let mut objects = event.objects.iter();
                objects.any(|o| o.object.name == name && o.result == ObjectResult::Created)
                    && event
                        .objects
                        .iter()
                        .any(|o| o.result != ObjectResult::Created)
            })
            .await?;
    }
    stack.synced(1).await?;
    told_once(&world).await
}

async fn told_once(world: &World) -> Result<()> {
    let filter = EventFilter {
        stack: None,
        agent: Some(world.agent.reference()),
        ..EventFilter::default()
    };
    let events = world.broker.admin().events(&filter, 50).await?;
    let mut times = BTreeMap::new();
    for recorded in &events {
        *times.entry(recorded.event.id).or_insert(0) += 1;
    }
    // The first success and two repairs.
    ensure!(
        times.len() == 3 && times.values().all(|n| *n == 1),
        "{events:#?}"
    );
    ensure!(
        events.iter().all(|recorded| recorded.event.count == 1),
        "{events:#?}"
    );
    Ok(())
}

async fn whatever_was_published_meanwhile_is_one_state_and_what_differs(
    stage: &Stage,
) -> Result<()> {
    const PUBLISHES: usize = 100;
    let mut world = stage.world_at_rest(None).await?;
    world.agent.keep_cache();
    world.start_agent()?;
    let [moving, resting] = [world.stack("moving").await?, world.stack("resting").await?];
    for stack in [&moving, &resting] {
        stack.roll_out(&config_map("a", "0")).await?;
    }
    world.agent.kill().await?;
    let mut last = 0;
    for number in 1..=PUBLISHES {
        last = moving
            .publish(&config_map("a", &number.to_string()))
            .await?;
    }
    let (polls, contents) = (world.link.polls(), world.link.contents());

    world.start_agent()?;
    moving.synced(last).await?;
    resting.synced(1).await?;
    // One poll that is answered, and the one that waits for the next change.
    let polls = world.link.polls() - polls;
    let contents = world.link.contents() - contents;
    ensure!(
        polls <= 2 && contents == 1,
        "{polls} polls, {contents} contents"
    );
    let value = world.cluster.value(&moving.namespace, "a").await?;
    ensure!(value == PUBLISHES.to_string(), "{value}");
    Ok(())
}
