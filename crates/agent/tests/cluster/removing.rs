use brokkr_agent::reconcile::Ending;
use brokkr_core::object::KeptKind;
use brokkr_core::wire::{ObjectResult, OnRemove};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;

use crate::bed::{Bed, config_map, results};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_removed_stack_goes_and_so_do_its_records() {
    let mut bed = Bed::new().await;
    bed.stranger_applies("theirs", "1").await;
    bed.apply(&format!("{}{}", config_map("a", "1"), config_map("b", "1")))
        .await;
    bed.restart().await;
    let removal = bed.removal(OnRemove::Delete, &[]);
    let attempt = bed.remove(&removal).await;
    assert_eq!(attempt.ending, Ending::Done);
    assert!(
        attempt
            .objects
            .iter()
            .all(|o| o.result == ObjectResult::Pruned)
    );
    assert_eq!(bed.names().await, ["theirs"]);
    bed.reconciler
        .forget(&mut bed.stack)
        .await
        .expect("forgotten");
    let record = format!("brokkr-inventory-{}", bed.stack.id());
    assert!(
        bed.records()
            .get_opt(&record)
            .await
            .expect("an answer")
            .is_none()
    );
    // Once more, as after a crash before the confirmation: done at once.
    bed.restart().await;
    let attempt = bed.remove(&removal).await;
    assert_eq!(
        (attempt.ending, attempt.objects),
        (Ending::Done, Vec::new())
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn an_orphaned_stack_stays_as_it_is() {
    let mut bed = Bed::new().await;
    bed.apply(&config_map("a", "1")).await;
    let before = bed.config_maps().get("a").await.expect("a");
    let attempt = bed.remove(&bed.removal(OnRemove::Orphan, &[])).await;
    assert_eq!(results(&attempt), [("a".into(), ObjectResult::Kept)]);
    bed.reconciler
        .forget(&mut bed.stack)
        .await
        .expect("forgotten");
    assert_eq!(bed.config_maps().get("a").await.expect("a"), before);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn kept_kinds_stay_unless_the_removal_names_them() {
    for (allowed, expected) in [
        (&[][..], ObjectResult::Kept),
        (&[KeptKind::Namespace][..], ObjectResult::Pruned),
    ] {
        let mut bed = Bed::new().await;
        let name = format!("{}-own", bed.namespace);
        let text = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n");
        bed.settle(&text).await;
        let attempt = bed.remove(&bed.removal(OnRemove::Delete, allowed)).await;
        assert_eq!(results(&attempt), [(name.clone(), expected)]);
        let namespaces: Api<Namespace> = Api::all(bed.client.clone());
        let is_there = namespaces
            .get_opt(&name)
            .await
            .expect("an answer")
            .is_some();
        assert_eq!(is_there, expected == ObjectResult::Kept);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_stack_that_comes_back_is_installed_again() {
    let mut bed = Bed::new().await;
    bed.apply(&config_map("a", "1")).await;
    bed.remove(&bed.removal(OnRemove::Delete, &[])).await;
    let attempt = bed.apply(&config_map("a", "1")).await;
    assert_eq!(results(&attempt), [("a".into(), ObjectResult::Created)]);
}
