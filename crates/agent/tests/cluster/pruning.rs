use brokkr_agent::reconcile::Ending;
use brokkr_core::wire::ObjectResult;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::bed::{Bed, config_map, key, reason_of, results};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn what_a_snapshot_drops_is_pruned_and_nothing_else() {
    let mut bed = Bed::new().await;
    let theirs = bed.stranger_applies("theirs", "1").await;
    bed.apply(&format!("{}{}", config_map("a", "1"), config_map("b", "1")))
        .await;
    let attempt = bed.apply(&config_map("a", "1")).await;
    assert_eq!(attempt.ending, Ending::Done);
    assert_eq!(
        results(&attempt),
        [
            ("a".into(), ObjectResult::Unchanged),
            ("b".into(), ObjectResult::Pruned)
        ]
    );
    assert_eq!(bed.names().await, ["a", "theirs"]);
    assert_eq!(
        bed.config_maps().get("theirs").await.expect("theirs"),
        theirs
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn nothing_is_pruned_while_anything_fails() {
    let mut bed = Bed::new().await;
    bed.apply(&format!("{}{}", config_map("a", "1"), config_map("b", "1")))
        .await;
    let bad = "---\napiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: []}\n";
    let attempt = bed.apply(&format!("{}{bad}", config_map("a", "1"))).await;
    assert!(matches!(attempt.ending, Ending::Failed(_)));
    assert_eq!(bed.names().await, ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn what_asks_to_stay_stays_and_is_let_go() {
    let mut bed = Bed::new().await;
    let kept = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept, annotations: {helm.sh/resource-policy: keep}}\n";
    let claim = "---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n";
    bed.apply(&format!("{}{kept}{claim}", config_map("a", "1")))
        .await;
    let before = bed.config_maps().get("kept").await.expect("kept");
    let attempt = bed.apply(&config_map("a", "1")).await;
    assert_eq!(
        results(&attempt),
        [
            ("a".into(), ObjectResult::Unchanged),
            ("kept".into(), ObjectResult::Kept),
            ("data".into(), ObjectResult::Kept)
        ]
    );
    assert!(reason_of(&attempt, "kept").contains("annotation"));
    assert_eq!(bed.config_maps().get("kept").await.expect("kept"), before);
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(bed.client.clone(), &bed.namespace);
    assert!(claims.get("data").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_kept_kind_goes_if_the_publish_allows_it() {
    let mut bed = Bed::new().await;
    let name = format!("{}-extra", bed.namespace);
    let namespace = format!("---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n");
    bed.settle(&format!("{}{namespace}", config_map("a", "1")))
        .await;
    let text = config_map("a", "1");
    let mut entry = bed.entry(&text);
    // As written in the manifest, where a namespace without namespace has the default one.
    let mut written = key("", "Namespace", &name);
    written.namespace = Some(bed.namespace.clone());
    entry.allow_delete = vec![written];
    let mut endings = Vec::new();
    while endings.last() != Some(&Ending::Done) {
        assert!(endings.len() < 100, "{endings:?}");
        endings.push(bed.apply_entry(&entry, &text).await.ending);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let namespaces: Api<Namespace> = Api::all(bed.client.clone());
    assert!(
        namespaces
            .get_opt(&name)
            .await
            .expect("an answer")
            .is_none()
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_finalizer_is_waited_for_and_named() {
    let mut bed = Bed::new().await;
    let held = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: held, finalizers: [example.io/wait]}\n";
    bed.apply(&format!("{}{held}", config_map("a", "1"))).await;
    let text = config_map("a", "1");
    let entry = bed.entry(&text);
    let attempt = bed.apply_entry(&entry, &text).await;
    assert!(
        matches!(&attempt.ending, Ending::Waiting(why) if why.contains("example.io/wait")),
        "{attempt:?}"
    );
    bed.restart().await;
    let attempt = bed.apply_entry(&entry, &text).await;
    assert!(matches!(attempt.ending, Ending::Waiting(_)), "{attempt:?}");
    // Wanted again while it goes: it is made again when it is gone.
    let again = format!("{text}{held}");
    let attempt = bed.apply(&again).await;
    assert!(matches!(attempt.ending, Ending::Waiting(_)), "{attempt:?}");
    let free = json!({"metadata": {"finalizers": null}});
    bed.config_maps()
        .patch("held", &PatchParams::default(), &Patch::Merge(free))
        .await
        .expect("freed");
    assert_eq!(bed.apply_entry(&entry, &text).await.ending, Ending::Done);
    assert_eq!(bed.names().await, ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn an_object_that_is_gone_already_is_forgotten() {
    let mut bed = Bed::new().await;
    bed.apply(&format!("{}{}", config_map("a", "1"), config_map("b", "1")))
        .await;
    bed.config_maps()
        .delete("b", &DeleteParams::default())
        .await
        .expect("deleted");
    let theirs = bed.stranger_applies("b", "theirs").await;
    let attempt = bed.apply(&config_map("a", "1")).await;
    assert_eq!(attempt.ending, Ending::Done, "{attempt:?}");
    assert_eq!(bed.config_maps().get("b").await.expect("b"), theirs);
}
