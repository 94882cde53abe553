use brokkr_agent::reconcile::{Ending, Success};
use brokkr_core::wire::ObjectResult;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Secret, Service};
use kube::Api;
use kube::api::{ListParams, PostParams};

use crate::bed::{Bed, config_map, reason_of, results};

const WEB: &str = "---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: example/web:1}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn an_application_is_applied_and_becomes_healthy() {
    let mut bed = Bed::new().await;
    let text = format!("{WEB}{}", config_map("settings", "1"));
    let attempt = bed.apply(&text).await;
    assert_eq!(attempt.ending, Ending::Done, "{attempt:?}");
    assert!(matches!(attempt.success, Some(Success::Now(_))));
    assert!(
        attempt
            .objects
            .iter()
            .all(|o| o.result == ObjectResult::Created)
    );
    bed.healthy().await;
    let deployments: Api<Deployment> = Api::namespaced(bed.client.clone(), &bed.namespace);
    let web = deployments.get("web").await.expect("web");
    let label = bed.stack.id().to_string();
    let labels = web.metadata.labels.expect("labels");
    assert_eq!(labels.get("brokkr.io/stack"), Some(&label));
    let template = web.spec.and_then(|s| s.template.metadata?.labels);
    assert!(!template.expect("labels").contains_key("brokkr.io/stack"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn what_is_so_already_is_not_written_again() {
    let mut bed = Bed::new().await;
    let text = format!("{WEB}{}{}", config_map("one", "1"), config_map("two", "1"));
    let entry = bed.entry(&text);
    bed.apply_entry(&entry, &text).await;
    bed.healthy().await;
    let versions = |bed: &Bed| {
        let config_maps = bed.config_maps();
        let services: Api<Service> = Api::namespaced(bed.client.clone(), &bed.namespace);
        let records = bed.records();
        async move {
            let mut versions = Vec::new();
            for config_map in config_maps
                .list(&ListParams::default())
                .await
                .expect("a list")
            {
                versions.push(config_map.metadata.resource_version);
            }
            for record in records.list(&ListParams::default()).await.expect("a list") {
                versions.push(record.metadata.resource_version);
            }
            versions.push(
                services
                    .get("web")
                    .await
                    .expect("web")
                    .metadata
                    .resource_version,
            );
            versions
        }
    };
    let before = versions(&bed).await;
    for round in 0..3 {
        let attempt = bed.apply_entry(&entry, &text).await;
        assert_eq!(attempt.ending, Ending::Done);
        assert!(!attempt.has_changed(), "{:?}", results(&attempt));
        assert!(matches!(attempt.success, Some(Success::Earlier(_))));
        if round == 1 {
            bed.restart().await;
        }
    }
    assert_eq!(versions(&bed).await, before);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn an_update_changes_only_what_changed() {
    let mut bed = Bed::new().await;
    let one = config_map("one", "1");
    bed.apply(&format!("{one}{}", config_map("two", "1"))).await;
    let before = bed.config_maps().get("one").await.expect("one");
    let attempt = bed.apply(&format!("{one}{}", config_map("two", "2"))).await;
    assert_eq!(
        results(&attempt),
        [
            ("one".into(), ObjectResult::Unchanged),
            ("two".into(), ObjectResult::Changed)
        ]
    );
    assert_eq!(bed.config_maps().get("one").await.expect("one"), before);
    let two = bed.config_maps().get("two").await.expect("two");
    assert_eq!(two.data.expect("data")["a"], "2");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_snapshot_that_the_cluster_refuses_changes_nothing() {
    let mut bed = Bed::new().await;
    bed.apply(&config_map("good", "1")).await;
    let typo =
        "---\napiVersion: v1\nkind: Service\nmetadata: {name: typo}\nspec: {prots: [{port: 80}]}\n";
    let unknown = "---\napiVersion: example.io/v1\nkind: Widget\nmetadata: {name: w}\n";
    for (bad, name, words) in [(typo, "typo", "prots"), (unknown, "w", "no kind Widget")] {
        let text = format!("{}{}{bad}", config_map("good", "2"), config_map("new", "1"));
        let attempt = bed.apply(&text).await;
        assert!(
            matches!(&attempt.ending, Ending::Failed(why) if why.contains(words)),
            "{attempt:?}"
        );
        assert!(reason_of(&attempt, name).contains(words), "{attempt:?}");
        assert_eq!(bed.names().await, ["good"]);
        let good = bed.config_maps().get("good").await.expect("good");
        assert_eq!(good.data.expect("data")["a"], "1");
    }
    let attempt = bed.apply("a: [1").await;
    assert!(
        matches!(&attempt.ending, Ending::Failed(why) if why.contains("line 1")),
        "{attempt:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_secrets_values_are_in_no_reason() {
    let mut bed = Bed::new().await;
    let text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {password: 'hunter2!'}\n";
    let attempt = bed.apply(text).await;
    assert!(matches!(attempt.ending, Ending::Failed(_)));
    assert!(!format!("{attempt:?}").contains("hunter2"), "{attempt:?}");
    let secrets: Api<Secret> = Api::namespaced(bed.client.clone(), &bed.namespace);
    assert!(secrets.get_opt("s").await.expect("an answer").is_none());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_failure_ends_by_itself_when_its_cause_is_gone() {
    let mut bed = Bed::new().await;
    let elsewhere = format!("{}-later", bed.namespace);
    let text =
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a, namespace: {elsewhere}}}\n");
    let entry = bed.entry(&text);
    let attempt = bed.apply_entry(&entry, &text).await;
    assert!(reason_of(&attempt, "a").contains(&elsewhere), "{attempt:?}");
    let namespaces: Api<Namespace> = Api::all(bed.client.clone());
    let namespace = serde_json::json!({"metadata": {"name": elsewhere}});
    let namespace = serde_json::from_value(namespace).expect("JSON");
    namespaces
        .create(&PostParams::default(), &namespace)
        .await
        .expect("a namespace");
    let attempt = bed.apply_entry(&entry, &text).await;
    assert_eq!(attempt.ending, Ending::Done, "{attempt:?}");
}
