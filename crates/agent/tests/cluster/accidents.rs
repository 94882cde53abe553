//! What may happen to the records of an agent, and to the names in them.

use brokkr_agent::reconcile::Ending;
use brokkr_core::wire::{Adopt, ObjectResult, OnRemove, TargetStack};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::bed::{Bed, config_map, reason_of, results};

fn two(data: &str) -> String {
    format!("{}{}", config_map("a", data), config_map("b", data))
}

async fn seen(bed: &Bed, name: &str) -> ConfigMap {
    bed.config_maps().get(name).await.expect("an object")
}

fn head(bed: &Bed) -> String {
    format!("brokkr-inventory-{}", bed.stack.id())
}

/// A cluster that was restored from a backup has the same objects, each as a new one.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn in_a_restored_cluster_nothing_is_written_or_deleted_until_it_is_adopted() {
    let mut bed = Bed::new().await;
    bed.apply(&two("1")).await;
    for name in ["a", "b"] {
        let before = seen(&bed, name).await;
        let params = DeleteParams::default();
        let deleted = bed.config_maps().delete(name, &params).await;
        deleted.map(drop).expect("deleted");
        let restored = ConfigMap {
            metadata: ObjectMeta {
                uid: None,
                resource_version: None,
                creation_timestamp: None,
                managed_fields: None,
                ..before.metadata
            },
            ..before
        };
        let params = PostParams {
            field_manager: Some("velero".to_owned()),
            ..PostParams::default()
        };
        let made = bed.config_maps().create(&params, &restored).await;
        made.map(drop).expect("restored");
    }
    let restored = [seen(&bed, "a").await, seen(&bed, "b").await];
    bed.restart().await;
    let attempt = bed.apply(&config_map("a", "2")).await;
    assert!(matches!(attempt.ending, Ending::Failed(_)), "{attempt:?}");
    assert!(reason_of(&attempt, "a").contains("velero"), "{attempt:?}");
    assert_eq!([seen(&bed, "a").await, seen(&bed, "b").await], restored);

    let entry = TargetStack {
        adopt: Adopt::Always,
        ..bed.entry(&two("2"))
    };
    let attempt = bed.apply_entry(&entry, &two("2")).await;
    assert_eq!(attempt.ending, Ending::Done, "{attempt:?}");
    let adopted = seen(&bed, "a").await;
    assert_eq!(adopted.metadata.uid, restored[0].metadata.uid);
    assert_eq!(adopted.data.expect("data")["a"], "2");
}

/// Somebody copied records between namespaces or clusters.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn the_inventory_of_another_stack_is_no_inventory() {
    let mut bed = Bed::new().await;
    bed.apply(&two("1")).await;
    let mut other = bed.neighbour();
    other.apply(&config_map("c", "1")).await;
    let foreign = bed.records().get(&head(&other)).await;
    let foreign = foreign.expect("an inventory");
    let patch = Patch::Merge(json!({"data": foreign.data, "binaryData": foreign.binary_data}));
    let params = PatchParams::default();
    let patched = bed.records().patch(&head(&bed), &params, &patch).await;
    patched.map(drop).expect("patched");
    bed.restart().await;
    let attempt = bed.apply(&config_map("a", "2")).await;
    assert!(matches!(attempt.ending, Ending::Held(_)), "{attempt:?}");
    let attempt = bed.remove(&bed.removal(OnRemove::Delete, &[])).await;
    assert!(matches!(attempt.ending, Ending::Held(_)), "{attempt:?}");
    assert!(
        !results(&attempt)
            .iter()
            .any(|(_, result)| *result == ObjectResult::Pruned)
    );
    assert_eq!(bed.names().await, ["a", "b", "c"]);
    let attempt = other.apply(&config_map("c", "2")).await;
    assert_eq!(attempt.ending, Ending::Done, "{attempt:?}");
}

/// Keys are kind, namespace and name, and never one text.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn names_of_every_length_and_form_are_kept_apart() {
    let mut bed = Bed::new().await;
    let long = |end: &str| {
        let parts = [
            "a".repeat(63),
            "b".repeat(63),
            "c".repeat(63),
            "d".repeat(60),
        ];
        format!("{}{end}", parts.join("."))
    };
    let role = |name: &str| {
        format!(
            "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {{name: '{name}'}}\nrules: []\n"
        )
    };
    let (one, other) = (long("1"), long("2"));
    assert_eq!(one.len(), 253);
    // A role's name may have what would end a path, a query or a selector elsewhere.
    let odd = [
        "a:b",
        "a..b",
        "..a",
        "a=b,c",
        "a&b",
        "a+b",
        "ConfigMap",
        "\u{e4}\u{20ac}",
    ];
    let text = |data: &str, roles: &[&str]| {
        let roles: String = roles.iter().map(|name| role(name)).collect();
        let maps = [config_map(&one, data), config_map(&other, data)].concat();
        maps + &roles
    };
    let attempt = bed.apply(&text("1", &odd)).await;
    assert_eq!(attempt.ending, Ending::Done, "{attempt:?}");
    bed.restart().await;
    let attempt = bed.apply(&text("1", &odd)).await;
    assert!(!attempt.has_changed(), "{attempt:?}");
    let attempt = bed.settle(&text("2", &odd[..1])).await;
    assert_eq!(attempt.ending, Ending::Done, "{attempt:?}");
    assert_eq!(bed.names().await, [one.clone(), other.clone()]);
    let roles = bed.dynamic("rbac.authorization.k8s.io/v1", "Role", "roles");
    let left = roles.list(&ListParams::default()).await.expect("a list");
    let left = left.items.into_iter();
    let left: Vec<_> = left.filter_map(|role| role.metadata.name).collect();
    assert_eq!(left, ["a:b"]);
    let attempt = bed.settle(&config_map("short", "1")).await;
    assert_eq!(attempt.ending, Ending::Done, "{attempt:?}");
    assert_eq!(bed.names().await, ["short"]);
}
