//! Fields of owned objects that are left to others.

use brokkr_core::wire::ObjectResult;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::bed::{Bed, config_map, reason_of, results};

const SCALER: &str = "kube-controller-manager";

fn web(replicas: u32, image: u32) -> String {
    format!(
        "---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: web, image: 'example/web:{image}'}}, {{name: side, image: example/side}}]}}
"
    )
}

fn deployments(bed: &Bed) -> Api<Deployment> {
    Api::namespaced(bed.client.clone(), &bed.namespace)
}

fn by(manager: &str) -> PatchParams {
    PatchParams {
        field_manager: Some(manager.to_owned()),
        ..PatchParams::default()
    }
}

/// What the deployment should be, who wrote that and when: the same as long as nobody writes.
async fn state(bed: &Bed) -> (i32, Vec<String>, Value) {
    let web = deployments(bed).get("web").await.expect("web");
    let spec = web.spec.expect("a spec");
    let images = spec.template.spec.expect("a spec").containers;
    let ours = web.metadata.managed_fields.into_iter().flatten();
    let ours = ours.filter(|fields| fields.subresource.as_deref() != Some("status"));
    let ours: Vec<_> = ours.collect();
    (
        spec.replicas.unwrap_or(1),
        images.into_iter().filter_map(|c| c.image).collect(),
        json!([web.metadata.generation, ours]),
    )
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn what_an_autoscaler_scaled_stays_as_it_is() {
    let mut bed = Bed::new().await;
    let text = web(2, 1);
    let entry = bed.entry(&text);
    bed.apply_entry(&entry, &text).await;
    let scale = Patch::Merge(json!({"spec": {"replicas": 5}}));
    deployments(&bed)
        .patch_scale("web", &by(SCALER), &scale)
        .await
        .expect("scaled");
    let scaled = state(&bed).await;
    assert_eq!(scaled.0, 5);
    for round in 0..4 {
        let attempt = bed.apply_entry(&entry, &text).await;
        assert_eq!(
            results(&attempt),
            [("web".into(), ObjectResult::Unchanged)],
            "round {round}"
        );
        assert_eq!(
            reason_of(&attempt, "web"),
            format!("left to {SCALER} (scale): spec.replicas")
        );
        assert_eq!(state(&bed).await, scaled, "round {round}");
        if round == 1 {
            bed.restart().await;
        }
    }
    // A new version changes what it says, and not what it does not decide.
    let newer = web(3, 2);
    let attempt = bed.apply(&newer).await;
    assert_eq!(results(&attempt), [("web".into(), ObjectResult::Changed)]);
    let (replicas, images, _) = state(&bed).await;
    assert_eq!(replicas, 5);
    assert_eq!(images, ["example/web:2", "example/side"]);
    // An edit is an edit, and is repaired.
    let edit = Patch::Merge(json!({"spec": {"replicas": 7}}));
    deployments(&bed)
        .patch("web", &by("kubectl-edit"), &edit)
        .await
        .expect("edited");
    let attempt = bed.apply(&newer).await;
    assert_eq!(results(&attempt), [("web".into(), ObjectResult::Changed)]);
    assert_eq!(reason_of(&attempt, "web"), "");
    assert_eq!(state(&bed).await.0, 3);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn what_a_manager_of_the_yield_list_set_stays_as_it_is() {
    let mut bed = Bed::new().await;
    bed.yield_to("updater").await;
    let text = format!("{}{}", web(1, 1), config_map("settings", "1"));
    let entry = bed.entry(&text);
    bed.apply_entry(&entry, &text).await;
    let image = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "side", "image": "example/side:9"},
    ]}}}});
    deployments(&bed)
        .patch("web", &by("updater"), &Patch::Strategic(image))
        .await
        .expect("updated");
    let updated = state(&bed).await;
    let config_maps = bed.config_maps();
    let edit = |manager| {
        let config_maps = config_maps.clone();
        async move {
            let edit = Patch::Merge(json!({"data": {"a": manager}}));
            let edited = config_maps.patch("settings", &by(manager), &edit).await;
            edited.expect("edited")
        }
    };
    let settings = edit("updater").await;
    for round in 0..3 {
        let attempt = bed.apply_entry(&entry, &text).await;
        assert!(!attempt.has_changed(), "round {round}: {attempt:?}");
        assert_eq!(
            reason_of(&attempt, "web"),
            "left to updater: spec.template.spec.containers[name=side].image"
        );
        assert_eq!(reason_of(&attempt, "settings"), "left to updater: data.a");
        assert_eq!(state(&bed).await, updated, "round {round}");
        let now = bed.config_maps().get("settings").await.expect("settings");
        assert_eq!(now, settings, "round {round}");
    }
    edit("somebody").await;
    let attempt = bed.apply_entry(&entry, &text).await;
    assert!(attempt.has_changed(), "{attempt:?}");
    let now = bed.config_maps().get("settings").await.expect("settings");
    assert_eq!(now.data.expect("data")["a"], "1");
}
