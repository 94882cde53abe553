use std::time::Duration;

use brokkr_agent::reconcile::Ending;
use brokkr_core::ObjectKey;
use brokkr_core::ambient::{Ambient, System};
use brokkr_core::wire::{OnRemove, TargetRemoval};

use crate::bed::{Bed, config_map, yes};

fn random(upto: u64) -> u64 {
    let mut bytes = [0; 8];
    System.fill(&mut bytes);
    u64::from_ne_bytes(bytes) % upto
}

/// Dies after some time; the next attempt knows only what is in the cluster.
async fn dying(bed: &mut Bed, text: &str, longest: u64) {
    let mut entry = bed.entry(text);
    let key = |index| ObjectKey {
        group: String::new(),
        kind: "ConfigMap".to_owned(),
        namespace: Some(bed.namespace.clone()),
        name: format!("c{index:02}"),
    };
    entry.approved_losses = (0..20).map(key).collect();
    let life = Duration::from_micros(random(longest));
    let _ = tokio::time::timeout(life, bed.apply_entry(&entry, text)).await;
    bed.restart().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn an_agent_that_dies_at_any_point_converges() {
    let mut bed = Bed::new().await;
    let theirs = bed.stranger_applies("theirs", "1").await;
    let version = |round: usize| -> String {
        (0..20_usize)
            .filter(|index| !(index + round).is_multiple_of(3))
            .map(|index| config_map(&format!("c{index:02}"), &(round % 4).to_string()))
            .collect()
    };
    for round in 0..30 {
        dying(&mut bed, &version(round), 60_000).await;
    }
    let attempt = bed.settle(&version(99)).await;
    assert_eq!(attempt.ending, Ending::Done);
    let mut expected: Vec<String> = (0..20)
        .filter(|index: &usize| !(index + 99).is_multiple_of(3))
        .map(|index| format!("c{index:02}"))
        .collect();
    expected.push("theirs".into());
    assert_eq!(bed.names().await, expected);
    assert_eq!(
        bed.config_maps().get("theirs").await.expect("theirs"),
        theirs
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_removal_that_dies_at_any_point_is_completed() {
    let mut bed = Bed::new().await;
    let text: String = (0..20)
        .map(|i| config_map(&format!("c{i:02}"), "1"))
        .collect();
    for _ in 0..5 {
        bed.settle(&text).await;
        let removal = TargetRemoval {
            approved: Some(yes()),
            ..bed.removal(OnRemove::Delete, &[])
        };
        for _ in 0..5 {
            let life = Duration::from_micros(random(30_000));
            let dying = async {
                bed.reconciler.remove(&mut bed.stack, &removal).await;
                bed.reconciler.forget(&mut bed.stack).await
            };
            let _ = tokio::time::timeout(life, dying).await;
            bed.restart().await;
        }
        assert_eq!(bed.remove(&removal).await.ending, Ending::Done);
        bed.reconciler
            .forget(&mut bed.stack)
            .await
            .expect("forgotten");
        assert_eq!(bed.names().await, Vec::<String>::new());
    }
}
