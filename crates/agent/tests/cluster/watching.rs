//! What others do is seen as it happens: these agents compare for themselves only once an hour.

use std::time::Duration;

use brokkr_core::Epoch;
use brokkr_core::ambient::System;
use brokkr_core::wire::{Health, StackStatus, Sync, TargetStack, TargetState};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;

use crate::bed::{Bed, config_map};
use crate::broker::{Broker, state};
use crate::running::{Agent, polls, publish, until};

const NEVER: Duration = Duration::from_hours(1);

const WEB: &str = "---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: 'works:1'}]}
";

/// A broker whose agent has one stack.
async fn order(bed: &mut Bed, text: &str) -> (Broker, TargetStack) {
    let broker = Broker::start().await;
    let entry = publish(bed, &broker, text);
    broker.answer(TargetState {
        stacks: vec![entry.clone()],
        ..state(Epoch::generate(&System), 1)
    });
    (broker, entry)
}

async fn status(broker: &Broker, entry: &TargetStack, holds: impl Fn(&StackStatus) -> bool) {
    until("the status", async || {
        broker.told().statuses.get(&entry.stack).is_some_and(&holds)
    })
    .await;
}

fn is_well(status: &StackStatus) -> bool {
    status.sync == Sync::Synced && status.health == Health::Current
}

/// Edits, deletes and relabels one object after the other, each until it is as it was.
async fn trouble(bed: &Bed) {
    let config_maps = bed.config_maps();
    let data = async |name: &str| {
        let found = config_maps.get_opt(name).await.expect("an answer")?;
        found.data?.remove("a")
    };
    let edit = Patch::Merge(json!({"data": {"a": "edited"}}));
    let params = PatchParams::default();
    config_maps
        .patch("a", &params, &edit)
        .await
        .expect("edited");
    until("an edit is undone", async || {
        data("a").await.as_deref() == Some("1")
    })
    .await;
    let params = DeleteParams::default();
    config_maps.delete("b", &params).await.expect("deleted");
    until("what was deleted is back", async || {
        data("b").await.as_deref() == Some("2")
    })
    .await;
    let unlabel = Patch::Merge(json!({"metadata": {"labels": {"brokkr.io/stack": null}}}));
    let params = PatchParams::default();
    config_maps
        .patch("c", &params, &unlabel)
        .await
        .expect("unlabelled");
    until("a label is back", async || {
        let found = config_maps.get("c").await.expect("c");
        found
            .metadata
            .labels
            .is_some_and(|labels| labels.contains_key("brokkr.io/stack"))
    })
    .await;
}

fn three() -> String {
    ["1", "2", "3"]
        .iter()
        .zip(["a", "b", "c"])
        .map(|(value, name)| config_map(name, value))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn what_others_change_is_changed_back_at_once() {
    let mut bed = Bed::new().await;
    let (broker, entry) = order(&mut bed, &three()).await;
    let agent = Agent::comparing(NEVER, &bed.client, &bed, &broker);
    status(&broker, &entry, is_well).await;
    trouble(&bed).await;
    status(&broker, &entry, is_well).await;
    let reason = |name: &str| {
        let told = broker.told();
        let repairs = told.events.iter().skip(1);
        let objects = repairs.flat_map(|event| event.objects.clone());
        let mut reasons = objects.filter(|object| object.object.name == name);
        reasons.find_map(|object| object.reason)
    };
    until("all is told", async || reason("c").is_some()).await;
    let edited = reason("a").unwrap_or_default();
    assert!(edited.ends_with(" had set data.a"), "{edited}");
    assert_eq!(reason("b").as_deref(), Some("it had been deleted"));
    let taken = "somebody had taken something of it away";
    assert_eq!(reason("c").as_deref(), Some(taken));
    // What was last is seen, too, and is the agent's own.
    let versions = async || {
        let list = bed.config_maps().list(&ListParams::default()).await;
        list.expect("a list")
            .items
            .into_iter()
            .map(|c| c.metadata.resource_version)
            .collect::<Vec<_>>()
    };
    let before = versions().await;
    polls(&broker, 20).await;
    assert_eq!(versions().await, before, "it does not fight with itself");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_workload_that_begins_to_fail_is_seen() {
    let mut bed = Bed::new().await;
    let (broker, entry) = order(&mut bed, WEB).await;
    let agent = Agent::comparing(NEVER, &bed.client, &bed, &broker);
    status(&broker, &entry, is_well).await;
    let pods: Api<Pod> = Api::namespaced(bed.client.clone(), &bed.namespace);
    let list = pods.list(&ListParams::default()).await.expect("pods");
    let name = list.items[0].metadata.name.clone().expect("a name");
    let waiting = json!({"reason": "CrashLoopBackOff", "message": "back-off 10s"});
    let failing = Patch::Strategic(json!({"status": {
        "conditions": [{"type": "Ready", "status": "False"}],
        "containerStatuses": [{
            "name": "main", "ready": false, "image": "works:1", "imageID": "works:1",
            "restartCount": 1, "state": {"waiting": waiting, "running": null},
        }],
    }}));
    let patched = pods
        .patch_status(&name, &PatchParams::default(), &failing)
        .await;
    patched.expect("a pod that fails");
    status(&broker, &entry, |status| {
        let reason = status.reason.as_deref().unwrap_or_default();
        status.health == Health::Degraded && reason.contains("CrashLoopBackOff")
    })
    .await;
    pods.delete(&name, &DeleteParams::default())
        .await
        .expect("deleted");
    status(&broker, &entry, is_well).await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn who_may_watch_a_namespace_only_watches_that() {
    let mut bed = Bed::new().await;
    let user = format!("user-{}", bed.namespace);
    let rules = json!([
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "create"]},
        {"apiGroups": ["", "coordination.k8s.io"], "resources": ["configmaps", "leases"],
            "verbs": ["get", "create", "update", "patch", "delete"]},
    ]);
    bed.may(&user, &rules).await;
    let rules =
        json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "watch"]}]);
    for namespace in [&bed.namespace, bed.records_namespace()] {
        bed.may_within(namespace, &user, &rules).await;
    }
    let (broker, entry) = order(&mut bed, &three()).await;
    let client = bed.client_of(&user).await;
    let agent = Agent::comparing(NEVER, &client, &bed, &broker);
    status(&broker, &entry, is_well).await;
    trouble(&bed).await;
    agent.stop().await;
}
