//! While a window holds, nothing new is brought and what runs is kept; the agent's own clock decides.

use std::sync::Arc;
use std::time::Duration;

use brokkr_agent::reconcile::Ending;
use brokkr_core::Epoch;
use brokkr_core::ambient::{Ambient, System};
use brokkr_core::wire::{
    Health, ObjectResult, OnRemove, StackStatus, Sync, TargetAgent, TargetRemoval, TargetStack,
    TargetState, TargetWindow, WINDOWS, WindowRule,
};
use jiff::{SignedDuration, Timestamp};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::bed::{Bed, config_map, results};
use crate::broker::{Answer, Broker, state};
use crate::monitoring::figure;
use crate::running::{Agent, polls, publish, until};

const NEVER: Duration = Duration::from_hours(1);

fn allow(name: &str, cron: &str) -> TargetAgent {
    TargetAgent {
        windows: vec![TargetWindow {
            name: name.parse().expect("a name"),
            rule: WindowRule::Allow,
            cron: cron.to_owned(),
            minutes: 120,
            zone: "UTC".to_owned(),
        }],
        ..TargetAgent::default()
    }
}

/// What a broker says while the agent has these windows.
fn windowed(entry: &TargetStack, agent: TargetAgent, epoch: Epoch, revision: u64) -> TargetState {
    let entry = TargetStack {
        requires: vec![WINDOWS.to_owned()],
        ..entry.clone()
    };
    TargetState {
        agent,
        stacks: vec![entry],
        ..state(epoch, revision)
    }
}

async fn said(broker: &Broker, entry: &TargetStack, holds: impl Fn(&StackStatus) -> bool) {
    until("the status", async || {
        broker.told().statuses.get(&entry.stack).is_some_and(&holds)
    })
    .await;
}

fn is_held(words: &str) -> impl Fn(&StackStatus) -> bool {
    move |status| {
        let reason = status.reason.as_deref().unwrap_or_default();
        status.sync == Sync::Held && reason.contains(words)
    }
}

async fn value(bed: &Bed, name: &str) -> Option<String> {
    let found = bed.config_maps().get_opt(name).await.expect("an answer")?;
    found.data?.remove("a")
}

async fn what_runs_is_kept(bed: &Bed) {
    let edit = Patch::Merge(json!({"data": {"a": "edited"}}));
    let edited = bed
        .config_maps()
        .patch("a", &PatchParams::default(), &edit)
        .await;
    edited.expect("edited");
    let deleted = bed
        .config_maps()
        .delete("b", &DeleteParams::default())
        .await;
    deleted.expect("deleted");
    until("both are put back", async || {
        let [a, b] = [value(bed, "a").await, value(bed, "b").await];
        a.as_deref() == Some("1") && b.as_deref() == Some("1")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn what_is_new_waits_and_what_runs_is_kept() {
    let mut bed = Bed::new().await;
    let broker = Broker::start().await;
    let epoch = Epoch::generate(&System);
    let both = [config_map("a", "1"), config_map("b", "1")].concat();
    let old = publish(&mut bed, &broker, &both);
    let leap = || allow("leap", "0 2 29 2 *");
    broker.answer(TargetState {
        stacks: vec![old.clone()],
        ..state(epoch, 1)
    });
    let mut agent = Agent::comparing(NEVER, &bed.client, &bed, &broker);
    let is_well = |status: &StackStatus| status.sync == Sync::Synced;
    said(&broker, &old, is_well).await;
    // Where the newest version is applied, nothing waits.
    broker.answer(windowed(&old, leap(), epoch, 2));
    polls(&broker, 2).await;
    what_runs_is_kept(&bed).await;
    said(&broker, &old, is_well).await;

    let next = [config_map("a", "2"), config_map("c", "2")].concat();
    let new = publish(&mut bed, &broker, &next);
    broker.answer(windowed(&new, leap(), epoch, 3));
    let words = "held until 2028-02-29 02:00 UTC (window leap): 3 objects differ from version 2";
    said(&broker, &new, is_held(words)).await;
    what_runs_is_kept(&bed).await;
    agent.stop().await;
    broker.told().statuses.clear();
    agent = Agent::comparing(NEVER, &bed.client, &bed, &broker);
    said(&broker, &new, is_held(words)).await;
    what_runs_is_kept(&bed).await;
    until("the repair is counted", async || {
        figure(&agent.monitor, "brokkr_agent_repairs_total ") >= Some(1.0)
    })
    .await;
    assert_eq!(bed.names().await, ["a", "b"]);
    let told = broker.told().statuses[&new.stack].clone();
    assert_eq!((told.seen, told.applied), (Some(2), Some(1)));
    assert_eq!(told.health, Health::Current);

    // What ignores windows does not wait.
    let urgent = TargetStack {
        ignores_windows: true,
        ..new.clone()
    };
    broker.answer(windowed(&urgent, leap(), epoch, 4));
    said(&broker, &new, |s| is_well(s) && s.applied == Some(2)).await;
    assert_eq!(bed.names().await, ["a", "c"]);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_first_version_and_a_removal_wait_too() {
    let mut bed = Bed::new().await;
    let broker = Broker::start().await;
    let epoch = Epoch::generate(&System);
    let entry = publish(&mut bed, &broker, &config_map("a", "1"));
    let leap = || allow("leap", "0 2 29 2 *");
    broker.answer(windowed(&entry, leap(), epoch, 1));
    let agent = Agent::comparing(NEVER, &bed.client, &bed, &broker);
    said(&broker, &entry, is_held("ConfigMap ")).await;
    said(&broker, &entry, is_held("a (not applied yet)")).await;
    assert!(bed.names().await.is_empty());
    broker.answer(windowed(&entry, TargetAgent::default(), epoch, 2));
    said(&broker, &entry, |s| s.sync == Sync::Synced).await;

    let removal = bed.removal(OnRemove::Delete, &[]);
    let going = |agent, revision| TargetState {
        agent,
        conditional_removals: vec![TargetRemoval {
            requires: vec![WINDOWS.to_owned()],
            ..removal.clone()
        }],
        ..state(epoch, revision)
    };
    broker.answer(going(leap(), 3));
    said(&broker, &entry, |status| {
        let reason = status.reason.as_deref().unwrap_or_default();
        status.sync == Sync::Removing && reason.contains("(window leap)")
    })
    .await;
    polls(&broker, 5).await;
    assert_eq!(bed.names().await, ["a"]);
    assert!(broker.told().confirmed.is_empty());
    broker.answer(going(TargetAgent::default(), 4));
    until("confirmed", async || !broker.told().confirmed.is_empty()).await;
    assert!(bed.names().await.is_empty());
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn what_a_newer_version_had_begun_is_neither_finished_nor_taken_back() {
    let mut bed = Bed::new().await;
    let old_text = [config_map("a", "1"), config_map("b", "1")].concat();
    bed.settle(&old_text).await;
    // The pod is tried only when its namespace is there, and then refused.
    let more = format!("{}-more", bed.namespace);
    let new_text = format!(
        "{}{}---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {more}}}\n---\napiVersion: v1\nkind: Pod\nmetadata: {{name: none, namespace: {more}}}\nspec: {{containers: []}}\n",
        config_map("a", "2"),
        config_map("c", "2"),
    );
    let new = bed.entry(&new_text);
    let begun = bed.apply_entry(&new, &new_text).await;
    assert!(matches!(begun.ending, Ending::Failed(_)), "{begun:?}");
    assert_eq!(bed.names().await, ["a", "b", "c"]);

    bed.stranger_applies("b", "edited").await;
    let applied = bed.reconciler.applied(&mut bed.stack, &new).await;
    let applied = applied.expect("records").expect("a version");
    assert_eq!(applied.sequence, 1);
    let text = Arc::from(old_text);
    let repaired = bed.reconciler.repair(&mut bed.stack, &applied, &text).await;
    assert_eq!(repaired.ending, Ending::Done, "{repaired:?}");
    assert_eq!(
        results(&repaired),
        [("b".to_owned(), ObjectResult::Changed)]
    );
    assert_eq!(value(&bed, "a").await.as_deref(), Some("2"));
    assert_eq!(value(&bed, "b").await.as_deref(), Some("1"));
    assert_eq!(bed.names().await, ["a", "b", "c"]);
}

/// A clock that began at another time.
struct Shifted(SignedDuration);

impl Shifted {
    fn to(time: &str) -> Arc<Self> {
        let time: Timestamp = time.parse().expect("a time");
        Arc::new(Self(time.duration_since(System.now())))
    }
}

impl Ambient for Shifted {
    fn now(&self) -> Timestamp {
        System.now() + self.0
    }

    fn fill(&self, bytes: &mut [u8]) {
        System.fill(bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_window_opens_by_the_agents_clock_without_the_broker() {
    let mut bed = Bed::new().await;
    let broker = Broker::start().await;
    let epoch = Epoch::generate(&System);
    let entry = publish(&mut bed, &broker, &config_map("a", "1"));
    broker.answer(windowed(&entry, allow("nightly", "0 2 * * *"), epoch, 1));
    let clock = Shifted::to("2030-06-01T01:59:48Z");
    let agent = Agent::by_clock(clock.clone(), &bed, &broker);
    let words = "held until 2030-06-01 02:00 UTC (window nightly)";
    said(&broker, &entry, is_held(words)).await;
    said(&broker, &entry, is_held("not applied yet")).await;
    broker.told().answer = Answer::Raw(503, "text/html", String::new());
    until("applied", async || bed.names().await == ["a"]).await;
    let open: Timestamp = "2030-06-01T02:00:00Z".parse().expect("a time");
    assert!(clock.now() >= open, "{}", clock.now());
    agent.stop().await;
}
