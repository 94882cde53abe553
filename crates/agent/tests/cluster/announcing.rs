//! What becomes of stacks is told in the cluster too, by Events in the agent's namespace.

use std::time::Duration;

use brokkr_core::wire::TargetState;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;

use crate::bed::{Bed, config_map};
use crate::broker::Answer;
use crate::monitoring::{figure, synced, two_objects};
use crate::running::{Agent, publish, until};

const NEVER: Duration = Duration::from_hours(1);

/// The reasons and notes of all Events of an agent.
async fn events(bed: &Bed) -> Vec<Event> {
    let events = Api::namespaced(bed.client.clone(), bed.records_namespace());
    events
        .list(&ListParams::default())
        .await
        .expect("Events")
        .items
}

async fn is_told(bed: &Bed, reason: &str, words: &str) {
    until(reason, async || {
        events(bed).await.iter().any(|event| {
            let note = event.note.as_deref().unwrap_or_default();
            event.reason.as_deref() == Some(reason) && note.contains(words)
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn failures_conflicts_repairs_and_recoveries_are_told() {
    let mut bed = Bed::new().await;
    let (broker, entry) = two_objects(&mut bed).await;
    let agent = Agent::comparing(NEVER, &bed.client, &bed, &broker);
    synced(&agent).await;
    assert!(events(&bed).await.is_empty(), "a success is none");

    let edit = Patch::Merge(json!({"data": {"a": "edited"}}));
    let params = PatchParams::apply("kubectl-edit");
    let edited = bed.config_maps().patch("a", &params, &edit).await;
    edited.expect("edited");
    is_told(&bed, "DriftRepaired", "stack test: changed back ConfigMap").await;
    is_told(&bed, "DriftRepaired", "had set data.a").await;

    let order = |bed: &mut Bed, text: &str| {
        let newer = publish(bed, &broker, text);
        let Answer::State(now) = broker.told().answer.clone() else {
            panic!("a state");
        };
        broker.answer(TargetState {
            stacks: vec![newer],
            revision: now.revision + 1,
            ..now
        });
    };
    let invalid = config_map("a", "1").replace("\ndata:", "\ndota:");
    order(&mut bed, &invalid);
    is_told(&bed, "AttemptFailed", "ConfigMap").await;
    let foreign = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "foreign" },
    });
    let params = PatchParams::apply("somebody");
    let made = bed
        .config_maps()
        .patch("foreign", &params, &Patch::Apply(foreign))
        .await;
    made.expect("made");
    let text = [config_map("a", "1"), config_map("b", "1")].concat();
    order(
        &mut bed,
        &[text.clone(), config_map("foreign", "1")].concat(),
    );
    is_told(
        &bed,
        "Conflict",
        "foreign: it exists and is not this stack's",
    )
    .await;
    order(&mut bed, &text);
    is_told(&bed, "Recovered", "it works again").await;
    for event in events(&bed).await {
        let stack = entry.stack.to_string();
        assert_eq!(
            event.regarding.and_then(|r| r.kind).as_deref(),
            Some("Lease")
        );
        assert!(!event.note.is_some_and(|note| note.contains(&stack)));
    }
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_fight_makes_few_events() {
    let mut bed = Bed::new().await;
    let (broker, _) = two_objects(&mut bed).await;
    let agent = Agent::comparing(Duration::from_millis(300), &bed.client, &bed, &broker);
    synced(&agent).await;
    for round in 0..10_u8 {
        let value = format!("edited-{round}");
        let edit = Patch::Merge(json!({"data": {"a": value}}));
        let params = PatchParams::apply("kubectl-edit");
        let edited = bed.config_maps().patch("a", &params, &edit).await;
        edited.expect("edited");
        let repairs = f64::from(round) + 1.0;
        until("a repair", async || {
            figure(&agent.monitor, "brokkr_agent_repairs_total ") >= Some(repairs)
        })
        .await;
    }
    is_told(&bed, "DriftRepaired", "had set data.a").await;
    assert_eq!(events(&bed).await.len(), 1, "{:?}", events(&bed).await);
    let written = "brokkr_agent_kubernetes_events_total{result=\"written\"} ";
    assert_eq!(figure(&agent.monitor, written), Some(1.0));
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_missing_right_costs_the_event_and_nothing_else() {
    let mut bed = Bed::new().await;
    let user = format!("user-{}", bed.namespace);
    let rules = json!([
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "create"]},
        {"apiGroups": ["", "coordination.k8s.io"], "resources": ["configmaps", "leases"],
            "verbs": ["get", "list", "watch", "create", "update", "patch", "delete"]},
    ]);
    bed.may(&user, &rules).await;
    let (broker, _) = two_objects(&mut bed).await;
    let client = bed.client_of(&user).await;
    let agent = Agent::comparing(NEVER, &client, &bed, &broker);
    synced(&agent).await;
    let params = DeleteParams::default();
    for name in ["a", "b"] {
        let deleted = bed.config_maps().delete(name, &params).await;
        deleted.expect("deleted");
        until("it is back", async || bed.names().await == ["a", "b"]).await;
    }
    let refused = "brokkr_agent_kubernetes_events_total{result=\"refused\"} ";
    until("an Event was refused", async || {
        figure(&agent.monitor, refused) == Some(1.0)
    })
    .await;
    assert!(events(&bed).await.is_empty());
    agent.stop().await;
}
