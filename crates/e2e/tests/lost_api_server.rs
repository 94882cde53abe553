//! An API server that was away, and has forgotten from where on its watches were followed.

use std::time::Duration;

use anyhow::{Result, ensure};
use brokkr_e2e::manifests::{config_map, snapshot};
use brokkr_e2e::{ApiFront, Asked, Cluster, PATIENCE, Stage, Weather, cpu, eventually};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::time::{Instant, sleep};

on_both_engines!(an_api_server_that_was_away_is_found_again_and_nothing_is_lost);

/// More than one page of a list.
const OBJECTS: usize = 600;
/// Longer than the lease, so that nothing of before is believed.
const AWAY: Duration = Duration::from_secs(10);
/// CPU time per second while there is nothing to do: 5 mCPU of a release build, in which the clock has ticks of 10 ms.
const IDLE: f64 = 0.01;
const LOOKS: usize = 3;

async fn an_api_server_that_was_away_is_found_again_and_nothing_is_lost(
    stage: &Stage,
) -> Result<()> {
    let cluster = Cluster::connect().await?;
    let front = ApiFront::start(&cluster, stage.directory()).await?;
    let mut world = stage.world_at_rest(Some(front.kubeconfig())).await?;
    world.agent.set_lease("3s");
    world.start_agent()?;
    let stack = world.stack("large").await?;
    let content = snapshot((0..OBJECTS).map(|number| config_map(&name(number), "1")));
    stack.roll_out(&content).await?;
    let mut before = cluster.versions(&content, &stack.namespace).await?;

    front.leave();
    world.agent.says("the agent's lease is lost").await?;
    let spent = cpu::seconds(world.agent.running()?.id()?)?;
    cluster
        .delete(&config_map(&name(0), "1"), &stack.namespace)
        .await?;
    let maps = Api::<ConfigMap>::namespaced(cluster.client(), &stack.namespace);
    let edit = Patch::Merge(json!({"data": {"value": "edited"}}));
    maps.patch(&name(1), &PatchParams::default(), &edit).await?;
    sleep(AWAY).await;
    let spent = cpu::seconds(world.agent.running()?.id()?)? - spent;
    ensure!(spent < IDLE * AWAY.as_secs_f64(), "{spent} s of {AWAY:?}");

    let back = Instant::now();
    front.turn(Weather::Expired);
    front.come_back();
    eventually("it lists again and again", PATIENCE, async || {
        let asked = front.asked_since(back);
        let expired = asked
            .iter()
            .filter(|a| a.is_watch() && a.is_refused())
            .count();
        ensure!(expired >= LOOKS, "{expired} times");
        Ok(())
    })
    .await?;
    front.turn(Weather::Fair);
    eventually("all is as it was published", PATIENCE, async || {
        ensure!(cluster.value(&stack.namespace, &name(1)).await? == "1");
        cluster.versions(&content, &stack.namespace).await.map(drop)
    })
    .await?;

    let asked = front.asked_since(back);
    ensure!(!asked.iter().any(Asked::is_delete), "nothing was dropped");
    let collections = asked
        .iter()
        .filter(|a| a.is_read() && a.path.ends_with("/configmaps"));
    ensure!(
        collections.clone().all(Asked::is_list),
        "without an end: {collections:?}"
    );
    ensure!(collections.filter(|a| a.is_later_page()).count() >= LOOKS);
    let mut after = cluster.versions(&content, &stack.namespace).await?;
    for number in [0, 1] {
        for versions in [&mut before, &mut after] {
            versions.retain(|key, _| key.name != name(number));
        }
    }
    ensure!(before == after, "what nobody touched was written");
    Ok(())
}

fn name(number: usize) -> String {
    format!("part-{number:03}")
}
