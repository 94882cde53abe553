//! The environment's own rules.

use brokkr_agent::Environment;
use brokkr_agent::reconcile::Ending;
use brokkr_core::wire::ObjectResult;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Node, ResourceQuota};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use crate::bed::{Bed, config_map, reason_of, results};

/// The rules of a file, as an agent reads them at its start.
fn rules(text: &str) -> Environment {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    Environment::read(file.path()).expect("rules")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn what_a_rule_refuses_changes_nothing() {
    let mut bed = Bed::new().await;
    bed.live_by(rules(
        "rules: [{name: no-b, kinds: [ConfigMap], expression: object.data.a != 'b', message: b is taken}]\nkinds: {deny: [Secret]}",
    ))
    .await;
    let fine = format!("{}{}", config_map("one", "1"), config_map("two", "1"));
    assert_eq!(bed.apply(&fine).await.ending, Ending::Done);
    let before = bed.config_maps().get("one").await.expect("one");
    // It changes one, creates three, and drops two.
    let bad = format!("{}{}", config_map("one", "2"), config_map("three", "b"));
    let secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: four}\n";
    let attempt = bed.apply(&format!("{bad}{secret}")).await;
    assert!(matches!(attempt.ending, Ending::Failed(_)), "{attempt:?}");
    let refused = |name: &str| (name.to_owned(), ObjectResult::Invalid);
    assert_eq!(results(&attempt), [refused("three"), refused("four")]);
    assert!(reason_of(&attempt, "three").contains("rule no-b: b is taken"));
    assert!(reason_of(&attempt, "four").contains("rule kinds: the kind Secret"));
    assert_eq!(bed.names().await, ["one", "two"]);
    assert_eq!(bed.config_maps().get("one").await.expect("one"), before);
    // Another stack goes on.
    let mut neighbour = bed.neighbour();
    let attempt = neighbour.apply(&config_map("five", "1")).await;
    assert_eq!(attempt.ending, Ending::Done);
    // Rules that became stricter take nothing away.
    bed.live_by(rules("kinds: {deny: [ConfigMap]}")).await;
    let attempt = bed.apply(&fine).await;
    assert!(matches!(attempt.ending, Ending::Failed(_)), "{attempt:?}");
    assert_eq!(bed.names().await, ["five", "one", "two"]);
    bed.live_by(Environment::default()).await;
    assert_eq!(bed.apply(&bad).await.ending, Ending::Done);
    assert_eq!(bed.names().await, ["five", "one", "three"]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_rule_is_about_the_namespace_that_an_object_gets() {
    let mut bed = Bed::new().await;
    bed.live_by(rules("namespaces: {allow: [nowhere]}")).await;
    let attempt = bed.apply(&config_map("one", "1")).await;
    let expected = format!(
        "the namespace {} is not allowed here, only nowhere are",
        bed.namespace
    );
    assert!(
        reason_of(&attempt, "one").contains(&expected),
        "{attempt:?}"
    );
    assert!(bed.names().await.is_empty());
}

/// Gives the cluster's node something to have; nothing schedules by it here.
async fn give_the_node_8_cpu(bed: &Bed) {
    let nodes: Api<Node> = Api::all(bed.client.clone());
    let has = json!({"cpu": "8", "memory": "16Gi", "pods": "110"});
    let status = json!({"status": {"allocatable": has, "capacity": has}});
    nodes
        .patch_status("node-1", &PatchParams::default(), &Patch::Merge(status))
        .await
        .expect("a node");
}

fn deployment(replicas: u32, cpu: &str) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  replicas: {replicas}\n  selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    spec: {{containers: [{{name: a, image: a, resources: {{requests: {{cpu: {cpu}}}}}}}]}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn what_finds_no_room_changes_nothing() {
    let mut bed = Bed::new().await;
    give_the_node_8_cpu(&bed).await;
    bed.live_by(rules("resources: {}")).await;
    let attempt = bed
        .apply(&format!(
            "{}{}",
            config_map("one", "1"),
            deployment(4, "16")
        ))
        .await;
    assert!(matches!(attempt.ending, Ending::Failed(_)), "{attempt:?}");
    let told = reason_of(&attempt, "web");
    let expected =
        "rule resources: the stack asks for 64 CPU more, 64 in all, and the nodes have 8";
    assert!(told.ends_with(expected), "{told}");
    assert!(bed.names().await.is_empty());
    // Without the rule it goes through; then the stack itself takes more than there is, and may ask for less.
    bed.live_by(Environment::default()).await;
    assert_eq!(bed.apply(&deployment(4, "16")).await.ending, Ending::Done);
    bed.live_by(rules("resources: {}")).await;
    assert_eq!(bed.apply(&deployment(4, "16")).await.ending, Ending::Done);
    assert_eq!(bed.apply(&deployment(4, "15")).await.ending, Ending::Done);
    let attempt = bed.apply(&deployment(5, "15")).await;
    let told = reason_of(&attempt, "web");
    assert!(told.contains("asks for 15 CPU more, 75 in all"), "{told}");
    let deployments: Api<Deployment> = Api::namespaced(bed.client.clone(), &bed.namespace);
    let spec = deployments.get("web").await.expect("web").spec;
    assert_eq!(spec.and_then(|spec| spec.replicas), Some(4));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_quota_bounds_what_grows() {
    let mut bed = Bed::new().await;
    give_the_node_8_cpu(&bed).await;
    let quotas: Api<ResourceQuota> = Api::namespaced(bed.client.clone(), &bed.namespace);
    let quota = json!({"metadata": {"name": "compute"}, "spec": {"hard": {"cpu": "2"}}});
    let quota = serde_json::from_value(quota).expect("a quota");
    let made = quotas.create(&PostParams::default(), &quota).await;
    made.expect("a quota");
    let is_counted = |quota: Option<&ResourceQuota>| {
        let status = quota.and_then(|quota| quota.status.as_ref());
        status.is_some_and(|status| status.hard.is_some())
    };
    kube::runtime::wait::await_condition(quotas, "compute", is_counted)
        .await
        .expect("a status");
    bed.live_by(rules("resources: {}")).await;
    assert_eq!(bed.apply(&deployment(2, "500m")).await.ending, Ending::Done);
    bed.healthy().await;
    let attempt = bed.apply(&deployment(5, "500m")).await;
    assert!(matches!(attempt.ending, Ending::Failed(_)), "{attempt:?}");
    let told = reason_of(&attempt, "web");
    let expected = format!(
        "asks for 1500m CPU more in the namespace {}, whose quota compute has 1 left of 2",
        bed.namespace
    );
    assert!(told.ends_with(&expected), "{told}");
    assert_eq!(bed.apply(&deployment(4, "500m")).await.ending, Ending::Done);
}
