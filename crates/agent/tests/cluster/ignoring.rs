//! Fields that are left as they are once their object was created.

use brokkr_agent::reconcile::Ending;
use brokkr_core::wire::ObjectResult;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::bed::{Bed, reason_of, results};

const LEFT: &str = "left to anybody (brokkr.io/ignore-fields): data.a";

/// A `ConfigMap` of which `fields` are ignored.
fn ignoring(fields: &str, data: &Value) -> String {
    let annotations = if fields.is_empty() {
        json!({})
    } else {
        json!({"brokkr.io/ignore-fields": fields})
    };
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "one", "annotations": annotations},
        "data": data,
    });
    format!("---\n{object}\n")
}

async fn one(bed: &Bed) -> ConfigMap {
    bed.config_maps().get("one").await.expect("one")
}

async fn data(bed: &Bed) -> Value {
    json!(one(bed).await.data)
}

async fn edit(bed: &Bed, data: Value) {
    let params = PatchParams {
        field_manager: Some("kubectl-edit".to_owned()),
        ..PatchParams::default()
    };
    let edit = Patch::Merge(json!({"data": data}));
    bed.config_maps()
        .patch("one", &params, &edit)
        .await
        .expect("edited");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn an_edit_of_an_ignored_field_stays() {
    let mut bed = Bed::new().await;
    let text = ignoring("/data/a", &json!({"a": "1", "b": "1"}));
    let entry = bed.entry(&text);
    bed.apply_entry(&entry, &text).await;
    assert_eq!(data(&bed).await, json!({"a": "1", "b": "1"}));
    let attempt = bed.apply_entry(&entry, &text).await;
    assert_eq!(results(&attempt), [("one".into(), ObjectResult::Unchanged)]);
    edit(&bed, json!({"a": "edited"})).await;
    let edited = one(&bed).await.metadata.resource_version;
    for round in 0..4 {
        let attempt = bed.apply_entry(&entry, &text).await;
        assert_eq!(
            results(&attempt),
            [("one".into(), ObjectResult::Unchanged)],
            "round {round}"
        );
        assert_eq!(reason_of(&attempt, "one"), LEFT);
        let one = one(&bed).await;
        assert_eq!(one.metadata.resource_version, edited, "round {round}");
        if round == 1 {
            bed.restart().await;
        }
    }
    // Its neighbour is repaired.
    edit(&bed, json!({"b": "edited"})).await;
    let attempt = bed.apply_entry(&entry, &text).await;
    assert_eq!(results(&attempt), [("one".into(), ObjectResult::Changed)]);
    assert_eq!(data(&bed).await, json!({"a": "edited", "b": "1"}));
    // A new version changes the rest, whatever it says of the field.
    let newer = ignoring("/data/a", &json!({"a": "2", "b": "2"}));
    assert_eq!(bed.apply(&newer).await.ending, Ending::Done);
    assert_eq!(data(&bed).await, json!({"a": "edited", "b": "2"}));
    // Without the annotation it is repaired, and stays so.
    let repaired = ignoring("", &json!({"a": "2", "b": "2"}));
    let attempt = bed.apply(&repaired).await;
    assert_eq!(results(&attempt), [("one".into(), ObjectResult::Changed)]);
    assert_eq!(data(&bed).await, json!({"a": "2", "b": "2"}));
    edit(&bed, json!({"a": "edited"})).await;
    assert!(bed.apply(&repaired).await.has_changed());
    assert_eq!(data(&bed).await, json!({"a": "2", "b": "2"}));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn an_ignored_field_that_is_ours_alone_is_not_deleted() {
    let mut bed = Bed::new().await;
    bed.apply(&ignoring("/data/a", &json!({"a": "1", "b": "1"})))
        .await;
    // Neither a write of its neighbour, nor a manifest without it, nor one that begins to ignore it takes it away.
    for (fields, wanted, expected) in [
        (
            "/data/a",
            json!({"a": "1", "b": "2"}),
            json!({"a": "1", "b": "2"}),
        ),
        (
            "/data/a",
            json!({"a": "7", "b": "3"}),
            json!({"a": "1", "b": "3"}),
        ),
        ("/data/a", json!({"b": "4"}), json!({"a": "1", "b": "4"})),
        (
            "/data/a,/data/b",
            json!({"c": "1"}),
            json!({"a": "1", "b": "4", "c": "1"}),
        ),
        (
            "/data",
            json!({"d": "1"}),
            json!({"a": "1", "b": "4", "c": "1"}),
        ),
        ("", json!({"d": "1"}), json!({"d": "1"})),
    ] {
        let attempt = bed.apply(&ignoring(fields, &wanted)).await;
        assert_eq!(attempt.ending, Ending::Done, "{fields}: {attempt:?}");
        assert_eq!(data(&bed).await, expected, "{fields} {wanted}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn whole_lists_and_what_is_required_can_be_ignored() {
    let mut bed = Bed::new().await;
    let web = |image: u32, replicas: u32| {
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "annotations": {
                "brokkr.io/ignore-fields": "/spec/template/spec/containers\n/spec/selector/matchLabels/app",
            }},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "web", "image": format!("example/web:{image}")}]},
                },
            },
        });
        format!("---\n{object}\n")
    };
    bed.apply(&web(1, 1)).await;
    let deployments: Api<Deployment> = Api::namespaced(bed.client.clone(), &bed.namespace);
    let injected = json!({"spec": {"template": {"spec": {"containers": [{"name": "proxy", "image": "example/proxy"}]}}}});
    let params = PatchParams::apply("injector");
    deployments
        .patch("web", &params, &Patch::Strategic(injected))
        .await
        .expect("injected");
    let attempt = bed.apply(&web(2, 3)).await;
    assert_eq!(attempt.ending, Ending::Done, "{attempt:?}");
    let spec = deployments
        .get("web")
        .await
        .expect("web")
        .spec
        .expect("a spec");
    assert_eq!(spec.replicas, Some(3));
    let containers = spec.template.spec.expect("a spec").containers;
    let mut images: Vec<_> = containers.into_iter().filter_map(|c| c.image).collect();
    images.sort();
    assert_eq!(images, ["example/proxy", "example/web:1"]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn what_cannot_be_ignored_is_refused_before_the_first_write() {
    let mut bed = Bed::new().await;
    let attempt = bed.apply(&ignoring("data.a", &json!({"a": "1"}))).await;
    assert_eq!(results(&attempt), [("one".into(), ObjectResult::Invalid)]);
    assert!(reason_of(&attempt, "one").contains("is no JSON pointer"));
    assert!(bed.names().await.is_empty());
}
