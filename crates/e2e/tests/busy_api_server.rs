//! An API server that is busy gets what it asks for: time.

use std::time::Duration;

use anyhow::{Result, ensure};
use brokkr_core::wire::Sync;
use brokkr_e2e::manifests::{config_map, snapshot};
use brokkr_e2e::{ApiFront, Asked, Cluster, PATIENCE, Stage, TestStack, Weather, eventually};
use tokio::time::Instant;

on_both_engines!(a_busy_api_server_is_obeyed_and_spared);

const STACKS: usize = 3;
const OBJECTS: usize = 20;
/// In a second.
const RATE: usize = 40;
/// So many requests that the storm takes part in all that an attempt does.
const STRUCK: usize = 40;
/// As it asks for, and how long an answer may take to be heard.
const REST: Duration = Duration::from_secs(1);
const HEARD: Duration = Duration::from_millis(300);

async fn a_busy_api_server_is_obeyed_and_spared(stage: &Stage) -> Result<()> {
    let cluster = Cluster::connect().await?;
    let front = ApiFront::start(&cluster, stage.directory()).await?;
    let mut world = stage.world_at_rest(Some(front.kubeconfig())).await?;
    world.agent.set_max_qps("40");
    world.start_agent()?;
    let mut stacks = Vec::new();
    for number in 0..STACKS {
        stacks.push(world.stack(&format!("stack-{number}")).await?);
    }
    for stack in &stacks {
        stack.roll_out(&objects("fair")).await?;
    }
    let before = versions(&cluster, &stacks).await?;

    let begun = Instant::now();
    front.turn(Weather::Stormy);
    let mut sequences = Vec::new();
    for (round, word) in ["first", "second"].into_iter().enumerate() {
        sequences.clear();
        for stack in &stacks {
            sequences.push(stack.publish(&objects(word)).await?);
        }
        eventually("the storm strikes", PATIENCE, async || {
            let asked = front.asked_since(begun);
            let struck = asked.iter().filter(|a| a.is_refused()).count();
            ensure!(struck >= (round + 1) * STRUCK / 2, "{struck} times");
            Ok(())
        })
        .await?;
    }
    front.turn(Weather::Fair);
    for (stack, sequence) in stacks.iter().zip(sequences) {
        let minute = Duration::from_mins(1);
        stack.becomes(Sync::Synced, Some(sequence), minute).await?;
        ensure!(cluster.value(&stack.namespace, "part-0").await? == "second");
    }

    let asked = front.asked();
    ensure!(!asked.iter().any(Asked::is_delete), "nothing was dropped");
    ensure!(
        versions(&cluster, &stacks).await? == before,
        "all are what they were"
    );
    obeys(&asked)?;
    spares(&asked)
}

fn objects(value: &str) -> String {
    snapshot((0..OBJECTS).map(|number| config_map(&format!("part-{number}"), value)))
}

/// The UIDs of all objects.
async fn versions(cluster: &Cluster, stacks: &[TestStack]) -> Result<Vec<String>> {
    let mut uids = Vec::new();
    for stack in stacks {
        let versions = cluster.versions(&objects("fair"), &stack.namespace).await?;
        uids.extend(versions.into_values().map(|version| version.uid));
    }
    Ok(uids)
}

/// After a wish to be left alone nobody asks for so long; the agent's lease is not the stacks' business.
fn obeys(asked: &[Asked]) -> Result<()> {
    let wishes: Vec<_> = asked.iter().filter_map(Asked::wished_at).collect();
    ensure!(wishes.len() > 5, "{} wishes", wishes.len());
    for wish in wishes {
        let early = asked
            .iter()
            .find(|a| !a.is_of_a_lease() && a.at > wish + HEARD && a.at < wish + REST);
        ensure!(early.is_none(), "{early:?} came after {wish:?}");
    }
    Ok(())
}

/// No second sees more than the agent was told, and a burst of a tenth; nor are there so few that it says nothing.
fn spares(asked: &[Asked]) -> Result<()> {
    let mut times: Vec<_> = asked
        .iter()
        .filter(|a| !a.is_of_a_lease())
        .map(|a| a.at)
        .collect();
    times.sort();
    let within = |first: &Instant| {
        let end = *first + Duration::from_secs(1);
        times
            .iter()
            .filter(|at| (*first..end).contains(*at))
            .count()
    };
    let most = times.iter().map(within).max().unwrap_or_default();
    ensure!(most <= RATE + RATE / 4, "{most} in a second");
    ensure!(most > RATE / 2, "only {most} in a second");
    Ok(())
}
