use brokkr_agent::reconcile::Ending;
use brokkr_core::wire::{ObjectResult, OnRemove};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;

use crate::bed::{Bed, config_map, results};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn without_its_inventory_a_stack_is_applied_but_nothing_is_deleted() {
    let mut bed = Bed::new().await;
    bed.apply(&format!("{}{}", config_map("a", "1"), config_map("b", "1")))
        .await;
    let record = format!("brokkr-inventory-{}", bed.stack.id());
    let truncated = json!({"binaryData": {"inventory": "AAAA"}});
    for damage in [Some(truncated), None] {
        let records = bed.records();
        if let Some(patch) = damage {
            let params = PatchParams::default();
            let damaged = records.patch(&record, &params, &Patch::Merge(patch)).await;
            damaged.map(drop).expect("damaged");
        } else {
            let lost = records.delete(&record, &DeleteParams::default()).await;
            lost.map(drop).expect("lost");
        }
        bed.restart().await;
        let attempt = bed
            .apply(&format!("{}{}", config_map("a", "2"), config_map("c", "1")))
            .await;
        assert!(matches!(attempt.ending, Ending::Held(_)), "{attempt:?}");
        assert!(
            !results(&attempt)
                .iter()
                .any(|(_, result)| *result == ObjectResult::Pruned)
        );
        assert_eq!(bed.names().await, ["a", "b", "c"]);
        let attempt = bed.remove(&bed.removal(OnRemove::Delete, &[])).await;
        assert!(matches!(attempt.ending, Ending::Held(_)), "{attempt:?}");
        assert_eq!(bed.names().await, ["a", "b", "c"]);
    }
    // Letting go deletes nothing, so it is possible, and the way out.
    let attempt = bed.remove(&bed.removal(OnRemove::Orphan, &[])).await;
    assert_eq!(attempt.ending, Ending::Done);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn an_inventory_of_five_thousand_objects_fits() {
    let mut bed = Bed::new().await;
    // Long random names do not compress, so that the inventory needs several parts.
    let text: String = (0..5_000_u64)
        .map(|index| {
            let noise = |salt: u64| {
                let mut x = index.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ salt;
                x ^= x >> 29;
                x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
                format!("{:016x}", x ^ (x >> 32))
            };
            let name: String = (0..12).map(noise).collect();
            config_map(&format!("a{name}"), "1")
        })
        .collect();
    let attempt = bed.apply(&text).await;
    assert_eq!(attempt.ending, Ending::Done, "{:?}", attempt.ending);
    let parts = |bed: &Bed| {
        let label = format!("brokkr.io/inventory={}", bed.stack.id());
        let records = bed.records();
        async move {
            records
                .list(&ListParams::default().labels(&label))
                .await
                .expect("a list")
                .items
                .len()
        }
    };
    let count = parts(&bed).await;
    assert!(count > 2, "{count} parts");
    bed.restart().await;
    let attempt = bed.apply(&text).await;
    assert!(!attempt.has_changed(), "{:?}", attempt.ending);
    let attempt = bed.settle(&config_map("only", "1")).await;
    assert_eq!(attempt.ending, Ending::Done);
    assert_eq!(bed.names().await, ["only"]);
    assert_eq!(parts(&bed).await, 1);
}
