//! An agent that is killed at any moment goes on where it was: nothing is lost, left behind or taken from others.

use anyhow::{Context, Result, ensure};
use brokkr_e2e::manifests::{config_map, snapshot};
use brokkr_e2e::{Stage, millis_up_to};

on_both_engines!(
    an_agent_killed_at_random_moments_converges,
    an_agent_killed_while_removing_finishes
);

const KILLS: usize = 10;
const OBJECTS: usize = 40;

async fn an_agent_killed_at_random_moments_converges(stage: &Stage) -> Result<()> {
    let mut world = stage.world().await?;
    let stack = world.stack("kill").await?;
    stack.roll_out(&version(0)).await?;
    let foreign = config_map("foreign", "1");
    world.cluster.create(&foreign, &stack.namespace).await?;
    let before = world.cluster.versions(&foreign, &stack.namespace).await?;

    let mut last = 0;
    let mut moments = Vec::new();
    for kill in 1..=KILLS {
        last = stack.publish(&version(kill)).await?;
        let moment = millis_up_to(600);
        moments.push(moment);
        tokio::time::sleep(moment).await;
        world.agent.kill().await?;
        world.start_agent()?;
    }
    stack
        .synced(last)
        .await
        .with_context(|| format!("killed after {moments:?}"))?;

    let names = world.cluster.config_maps(&stack.namespace).await?;
    let mut wanted = object_names(KILLS);
    wanted.push("foreign".into());
    wanted.sort();
    ensure!(
        names.iter().eq(&wanted),
        "{names:?} instead of {wanted:?}; killed after {moments:?}"
    );
    for name in object_names(KILLS) {
        ensure!(
            world.cluster.value(&stack.namespace, &name).await? == KILLS.to_string(),
            "{name}"
        );
    }
    ensure!(world.cluster.versions(&foreign, &stack.namespace).await? == before);
    Ok(())
}

async fn an_agent_killed_while_removing_finishes(stage: &Stage) -> Result<()> {
    let mut world = stage.world().await?;
    let [going, staying] = [world.stack("going").await?, world.stack("staying").await?];
    going.roll_out(&version(0)).await?;
    staying.roll_out(&version(0)).await?;
    let before = world
        .cluster
        .versions(&version(0), &staying.namespace)
        .await?;

    going.untarget().await?;
    for _ in 0..3 {
        tokio::time::sleep(millis_up_to(150)).await;
        world.agent.kill().await?;
        world.start_agent()?;
    }

    going.removal_confirmed().await?;
    let left = world.cluster.config_maps(&going.namespace).await?;
    ensure!(left.is_empty(), "confirmed, and still there: {left:?}");
    ensure!(
        world
            .cluster
            .versions(&version(0), &staying.namespace)
            .await?
            == before
    );
    Ok(())
}

/// Every version changes all objects, drops some of the last one's and brings some of its own.
fn version(number: usize) -> String {
    snapshot(
        object_names(number)
            .iter()
            .map(|name| config_map(name, &number.to_string())),
    )
}

fn object_names(number: usize) -> Vec<String> {
    let always = (0..OBJECTS).map(|index| format!("object-{index}"));
    let own = (0..3).map(|index| format!("version-{number}-{index}"));
    always.chain(own).collect()
}
