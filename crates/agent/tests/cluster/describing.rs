//! Telling what a stack has in the cluster, and no value of its secrets.

use std::sync::Arc;

use brokkr_agent::Error;
use brokkr_core::access::Access;
use brokkr_core::manifest;
use brokkr_core::wire::{ContainerState, DescribedObject, Description, Health, RequestKind};
use k8s_openapi::api::core::v1::{Event, Pod, Secret};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::bed::{Bed, config_map};

/// With a Deployment that crashes, and a Secret.
fn application() -> String {
    format!(
        "{}{}",
        config_map("a", "1"),
        "---
apiVersion: v1
kind: Secret
metadata: {name: s}
stringData: {password: hunter-one}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: 'crashing:1'}]}
"
    )
}

/// A bed with that application, one pod of which crashes.
async fn crashing() -> (Bed, Pod) {
    let mut bed = Bed::new().await;
    bed.settle(&application()).await;
    let pod = crashing_pod(&bed).await;
    (bed, pod)
}

async fn crashing_pod(bed: &Bed) -> Pod {
    let pods: Api<Pod> = Api::namespaced(bed.client.clone(), &bed.namespace);
    for _ in 0..150 {
        let list = pods.list(&ListParams::default()).await.expect("a list");
        let pod = list.items.into_iter().find(|pod| {
            let status = pod.status.as_ref();
            status.is_some_and(|status| status.container_statuses.is_some())
        });
        if let Some(pod) = pod {
            return pod;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("there is no pod");
}

/// Somebody tells of the pod.
async fn tell(bed: &Bed, pod: &Pod, message: &str) {
    let event: Event = serde_json::from_value(json!({
        "metadata": {"generateName": "told-"},
        "involvedObject": {"kind": "Pod", "namespace": bed.namespace, "name": pod.name_any(), "uid": pod.uid()},
        "type": "Warning", "reason": "BackOff", "message": message, "count": 4,
        "lastTimestamp": "2026-01-02T03:04:05Z",
    }))
    .expect("an event");
    let events: Api<Event> = Api::namespaced(bed.client.clone(), &bed.namespace);
    let made = events.create(&PostParams::default(), &event).await;
    made.expect("an event");
}

async fn describe(bed: &Bed, client: &kube::Client) -> Result<Description, Error> {
    let contents = [Arc::from(application())];
    bed.looks_of(client)
        .describe(bed.stack.id(), &contents)
        .await
}

fn of<'a>(description: &'a Description, name: &str) -> &'a DescribedObject {
    let found = description.objects.iter().find(|o| o.object.name == name);
    found.unwrap_or_else(|| panic!("no {name}: {description:#?}"))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn what_is_not_well_is_described_with_its_pods_and_events_and_without_secrets() {
    let (bed, pod) = crashing().await;
    let secrets: Api<Secret> = Api::namespaced(bed.client.clone(), &bed.namespace);
    // Somebody fills in what the manifests do not have.
    let filled = Patch::Merge(json!({"stringData": {"token": "hunter-two"}}));
    let params = PatchParams::default();
    secrets.patch("s", &params, &filled).await.expect("a patch");
    let said = "neither hunter-one nor hunter-two nor aHVudGVyLW9uZQ== is let in";
    tell(&bed, &pod, said).await;

    let told = describe(&bed, &bed.client).await.expect("a description");
    let text = serde_json::to_string(&told).expect("JSON");
    assert!(
        !text.contains("hunter-") && !text.contains("aHVudGVy"),
        "{text}"
    );
    for (name, health) in [
        ("a", Health::Current),
        ("s", Health::Current),
        ("web", Health::Degraded),
    ] {
        assert_eq!(of(&told, name).health, health, "{name}");
    }
    assert_eq!((told.objects.len(), told.more), (3, 0));
    assert!(told.remarks.is_empty(), "{:?}", told.remarks);
    let web = of(&told, "web");
    assert_eq!(told.objects[0], *web, "the worst is first");
    assert_eq!(web.pods.len(), 1, "{web:#?}");
    assert_eq!(
        (web.pods[0].name.as_str(), web.pods[0].phase.as_str()),
        (&*pod.name_any(), "Pending")
    );
    let main = &web.pods[0].containers[0];
    assert_eq!(
        (main.name.as_str(), main.image.as_str()),
        ("main", "crashing:1")
    );
    assert_eq!(
        (main.state, main.reason.as_deref()),
        (ContainerState::Waiting, Some("CrashLoopBackOff"))
    );
    assert_eq!((main.restarts, main.last_exit_code), (5, Some(1)));
    let event = web.events.iter().find(|event| event.reason == "BackOff");
    let event = event.unwrap_or_else(|| panic!("{:#?}", web.events));
    assert_eq!(
        event.message,
        "neither [redacted] nor [redacted] nor [redacted]== is let in"
    );
    assert_eq!(
        (event.count, event.about.as_str()),
        (4, &*format!("Pod {}", pod.name_any()))
    );
    let made = |about: &str| {
        web.events
            .iter()
            .any(|event| event.about.starts_with(about))
    };
    assert!(
        made("Deployment web") && made("ReplicaSet web-"),
        "{:#?}",
        web.events
    );

    // What is gone is missing.
    let deleted = bed
        .config_maps()
        .delete("a", &DeleteParams::default())
        .await;
    deleted.expect("deleted");
    let told = describe(&bed, &bed.client).await.expect("a description");
    let reason = of(&told, "a").reason.as_deref();
    assert_eq!(
        (of(&told, "a").health, reason),
        (Health::Degraded, Some("is missing"))
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_right_that_is_missing_is_named_and_hides_nothing_else() {
    let (bed, pod) = crashing().await;
    tell(&bed, &pod, "back-off").await;
    let manifests = manifest::parse(&application(), Some(&bed.namespace)).expect("manifests");
    let namespace = Some(bed.namespace.as_str());
    let least = Access::least(&manifests, namespace, false);
    let more = least
        .clone()
        .answering(RequestKind::Describe, &manifests, namespace);
    let told_with = async |access: &Access, without: &[&str]| {
        let user = format!(
            "user-{}",
            brokkr_core::StackId::generate(&brokkr_core::ambient::System)
        );
        for (namespace, rules) in &access.rules {
            let namespace = namespace.as_deref().expect("nothing of the whole cluster");
            let mut rules = rules.clone();
            rules.retain(|rule| !without.contains(&rule.resources[0].as_str()));
            bed.may_within(namespace, &user, &json!(rules)).await;
        }
        let records =
            json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]);
        bed.may_within(bed.records_namespace(), &user, &records)
            .await;
        describe(&bed, &bed.client_of(&user).await).await
    };

    let told = told_with(&more, &[]).await.expect("a description");
    assert!(told.remarks.is_empty(), "{:?}", told.remarks);
    assert!(
        of(&told, "web")
            .events
            .iter()
            .any(|event| event.message == "back-off")
    );

    let told = told_with(&least, &[]).await.expect("a description");
    let rule = r#"{apiGroups: [""], resources: [events], verbs: [list]}"#;
    assert!(
        told.remarks.len() == 1 && told.remarks[0].contains(rule),
        "{:?}",
        told.remarks
    );
    let web = of(&told, "web");
    assert!(web.events.is_empty() && web.pods.len() == 1, "{web:#?}");

    let told = told_with(&more, &["pods"]).await.expect("a description");
    let rule = r#"{apiGroups: [""], resources: [pods], verbs: [list]}"#;
    assert!(
        told.remarks.len() == 1 && told.remarks[0].contains(rule),
        "{:?}",
        told.remarks
    );
    assert!(of(&told, "web").pods.is_empty() && of(&told, "web").health != Health::Current);

    // Whose secrets are not known, of that nothing is told.
    let error = told_with(&more, &["secrets"]).await.expect_err("nothing");
    assert!(matches!(error, Error::SecretsUnknown(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn of_a_stack_that_is_not_here_it_is_said() {
    let bed = Bed::new().await;
    let told = describe(&bed, &bed.client).await.expect("a description");
    assert!(told.objects.is_empty(), "{told:?}");
    assert!(
        told.remarks[0].contains("nothing of the stack was applied"),
        "{told:?}"
    );
}
