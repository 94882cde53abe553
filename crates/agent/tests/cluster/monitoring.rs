//! What an agent shows of itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use brokkr_agent::Monitor;
use brokkr_core::Epoch;
use brokkr_core::ambient::System;
use brokkr_core::wire::{TargetStack, TargetState};
use kube::api::{DeleteParams, Patch, PatchParams};
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;
use serde_json::json;

use crate::bed::{Bed, config_map};
use crate::broker::{Answer, Broker, state};
use crate::running::{Agent, publish, until};

/// The value of a sample; none if it is not there.
pub fn figure(monitor: &Arc<Monitor>, sample: &str) -> Option<f64> {
    let mut registry = Registry::default();
    monitor.register(&mut registry);
    let mut page = String::new();
    text::encode(&mut page, &registry).expect("a page");
    let line = page.lines().find_map(|line| line.strip_prefix(sample));
    line?.trim().parse().ok()
}

/// A broker whose agent has one stack of two objects.
pub async fn two_objects(bed: &mut Bed) -> (Broker, TargetStack) {
    let broker = Broker::start().await;
    let text = [config_map("a", "1"), config_map("b", "1")].concat();
    let entry = publish(bed, &broker, &text);
    broker.answer(TargetState {
        stacks: vec![entry.clone()],
        ..state(Epoch::generate(&System), 7)
    });
    (broker, entry)
}

/// Waits until the stack is as it should be, and is watched.
pub async fn synced(agent: &Agent) {
    let sample = "brokkr_agent_stacks{sync=\"synced\",health=\"current\"}";
    let watches = "brokkr_agent_watches ";
    until("synced, and what others do is seen", async || {
        [sample, watches].map(|figured| figure(&agent.monitor, figured)) == [Some(1.0); 2]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn figures_and_readiness_follow_what_happens() {
    let mut bed = Bed::new().await;
    let (broker, _) = two_objects(&mut bed).await;
    let never = Duration::from_hours(1);
    let agent = Agent::comparing(never, &bed.client, &bed, &broker);
    assert!(agent.monitor.readiness().is_err(), "it has just begun");
    synced(&agent).await;
    assert_eq!(agent.monitor.readiness(), Ok("ok"));
    let is = |sample: &str, value: f64| {
        let found = figure(&agent.monitor, &format!("brokkr_agent_{sample} "));
        assert_eq!(found, Some(value), "{sample}");
    };
    is("lease_held", 1.0);
    is("broker_connected", 1.0);
    is("accepted_revision", 7.0);
    is("objects_total{result=\"created\"}", 2.0);
    is("attempts_total{action=\"apply\",outcome=\"failed\"}", 0.0);
    let config_maps = bed.config_maps();
    let edit = Patch::Merge(json!({"data": {"a": "edited"}}));
    let params = PatchParams::default();
    let edited = config_maps.patch("a", &params, &edit).await;
    edited.expect("edited");
    let deleted = config_maps.delete("b", &DeleteParams::default()).await;
    deleted.expect("deleted");
    until("both are repaired", async || {
        figure(&agent.monitor, "brokkr_agent_repairs_total") == Some(2.0)
    })
    .await;
    // Without its broker it is as ready as with it.
    broker.told().answer = Answer::Raw(503, "text/plain", "away".to_owned());
    until("disconnected", async || {
        figure(&agent.monitor, "brokkr_agent_broker_connected") == Some(0.0)
    })
    .await;
    assert_eq!(agent.monitor.readiness(), Ok("ok"));
    assert_eq!(agent.monitor.health(), Ok(()));
    let monitor = agent.monitor.clone();
    agent.stop().await;
    assert!(monitor.readiness().is_err(), "it has ended");
    assert_eq!(figure(&monitor, "brokkr_agent_lease_held"), Some(0.0));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn who_stands_by_is_ready() {
    let mut bed = Bed::new().await;
    let (broker, _) = two_objects(&mut bed).await;
    let never = Duration::from_hours(1);
    let first = Agent::comparing(never, &bed.client, &bed, &broker);
    synced(&first).await;
    let second = Agent::comparing(never, &bed.client, &bed, &broker);
    until("the second one stands by", async || {
        second.monitor.readiness().is_ok()
    })
    .await;
    let held = |agent: &Agent| figure(&agent.monitor, "brokkr_agent_lease_held");
    assert_eq!((held(&first), held(&second)), (Some(1.0), Some(0.0)));
    first.stop().await;
    until("the second one acts", async || held(&second) == Some(1.0)).await;
    second.stop().await;
}

/// How many writes of these kinds the agent has made, by its own count.
fn writes(agent: &Agent, verbs: &[&str]) -> f64 {
    let counts = verbs.iter().map(|verb| {
        let sample = format!("brokkr_agent_api_requests_total{{verb=\"{verb}\",status=\"2xx\"}} ");
        figure(&agent.monitor, &sample).expect("a count")
    });
    counts.sum()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn an_idle_agent_writes_nothing_but_its_lease() {
    let mut bed = Bed::new().await;
    let (broker, _) = two_objects(&mut bed).await;
    let often = Duration::from_millis(300);
    let agent = Agent::comparing(often, &bed.client, &bed, &broker);
    synced(&agent).await;
    let others = ["create", "patch", "delete"];
    let (before, updates, begun) = (
        writes(&agent, &others),
        writes(&agent, &["update"]),
        Instant::now(),
    );
    assert!(before > 0.0, "the counter counts");
    let attempts = "brokkr_agent_attempts_total{action=\"apply\",outcome=\"done\"}";
    let done = figure(&agent.monitor, attempts).expect("attempts") + 10.0;
    until("ten comparisons", async || {
        figure(&agent.monitor, attempts) >= Some(done)
    })
    .await;
    assert!((writes(&agent, &others) - before).abs() < 0.5);
    let updates = writes(&agent, &["update"]) - updates;
    // The lease lasts for 3 s, and is renewed every ninth part of it.
    let renewals = begun.elapsed().as_secs_f64() * 3.0 + 1.0;
    assert!(updates <= renewals, "{updates} of {renewals}");
    agent.stop().await;
}
