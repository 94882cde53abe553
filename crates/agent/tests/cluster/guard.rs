use std::fmt::Write as _;

use brokkr_agent::reconcile::{Attempt, Ending, Withheld};
use brokkr_core::wire::{HeldLoss, LossCause, ObjectResult, OnRemove, TargetRemoval, TargetStack};
use brokkr_core::{KeptKind, ObjectKey};
use kube::api::DeleteParams;

use crate::bed::{Bed, config_map, reason_of, results, yes};

const SIX: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

fn config_maps(names: &[&str]) -> String {
    names.iter().fold(String::new(), |mut text, name| {
        let _ = write!(text, "{}", config_map(name, "1"));
        text
    })
}

fn keys(bed: &Bed, names: &[&str]) -> Vec<ObjectKey> {
    let key = |name: &&str| ObjectKey {
        group: String::new(),
        kind: "ConfigMap".to_owned(),
        namespace: Some(bed.namespace.clone()),
        name: (*name).to_owned(),
    };
    names.iter().map(key).collect()
}

fn held(attempt: &Attempt) -> HeldLoss {
    assert!(matches!(attempt.ending, Ending::Held(_)), "{attempt:?}");
    match &attempt.withheld {
        Withheld::Loss(loss) => loss.clone(),
        other => panic!("{other:?}"),
    }
}

/// A stack of six that dropped them all for a new one, and is held.
async fn held_snapshot() -> (Bed, TargetStack, String) {
    let mut bed = Bed::new().await;
    bed.apply(&config_maps(&SIX)).await;
    let text = config_map("new", "1");
    let entry = bed.entry(&text);
    let attempt = bed.apply_entry(&entry, &text).await;
    let expected = HeldLoss {
        cause: LossCause::Snapshot(2),
        objects: keys(&bed, &SIX),
        owned: 7,
    };
    assert_eq!(held(&attempt), expected);
    let Ending::Held(reason) = &attempt.ending else {
        panic!("{attempt:?}");
    };
    assert!(
        reason.starts_with("6 of 7 objects would be deleted"),
        "{reason}"
    );
    assert!(reason.contains("brokkr removals list"), "{reason}");
    // Everything else of the snapshot is in place.
    assert!(results(&attempt).contains(&("new".into(), ObjectResult::Created)));
    assert!(results(&attempt).contains(&("a".into(), ObjectResult::Skipped)));
    assert!(reason_of(&attempt, "a").contains("held"));
    assert_eq!(bed.stack.applied(), Some(1));
    (bed, entry, text)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_large_loss_is_held_until_it_is_approved() {
    let (mut bed, mut entry, text) = held_snapshot().await;
    bed.restart().await;
    let again = bed.apply_entry(&entry, &text).await;
    assert_eq!(held(&again).objects, keys(&bed, &SIX));
    assert!(!again.has_changed(), "{again:?}");
    assert_eq!(bed.names().await.len(), 7);
    entry.approved_losses = keys(&bed, &SIX);
    let attempt = bed.apply_entry(&entry, &text).await;
    assert_eq!(attempt.ending, Ending::Done, "{attempt:?}");
    assert_eq!(attempt.withheld, Withheld::Nothing);
    assert_eq!(bed.names().await, ["new"]);
    assert_eq!(bed.stack.applied(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn what_is_approved_goes_and_the_rest_stays_held() {
    let (mut bed, mut entry, text) = held_snapshot().await;
    bed.stranger_applies("theirs", "1").await;
    entry.approved_losses = keys(&bed, &["a", "theirs"]);
    // Five are left, and that few may go; with one more in the last minutes they may not.
    let mut neighbour = bed.neighbour();
    neighbour.apply(&config_map("one", "1")).await;
    let dropped = neighbour.apply(&config_map("other", "1")).await;
    assert_eq!(dropped.ending, Ending::Done, "{dropped:?}");
    let attempt = bed.apply_entry(&entry, &text).await;
    assert_eq!(
        held(&attempt).objects,
        keys(&bed, &["b", "c", "d", "e", "f"])
    );
    assert!(matches!(&attempt.ending, Ending::Held(why) if why.contains("beside 1 that went")));
    assert_eq!(
        bed.names().await,
        ["b", "c", "d", "e", "f", "new", "other", "theirs"]
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn what_is_refused_stays_and_is_nobodys() {
    let (mut bed, mut entry, text) = held_snapshot().await;
    let before = bed.config_maps().get("a").await.expect("a");
    entry.released = keys(&bed, &SIX);
    let attempt = bed.apply_entry(&entry, &text).await;
    assert_eq!(attempt.ending, Ending::Done, "{attempt:?}");
    assert!(results(&attempt).contains(&("a".into(), ObjectResult::Kept)));
    assert_eq!(reason_of(&attempt, "a"), "its loss was refused");
    assert_eq!(bed.config_maps().get("a").await.expect("a"), before);
    // From now on they are nobody's: the stack's removal leaves them, too.
    bed.restart().await;
    let attempt = bed.remove(&bed.removal(OnRemove::Delete, &[])).await;
    assert_eq!(results(&attempt), [("new".into(), ObjectResult::Pruned)]);
    assert_eq!(bed.names().await, SIX);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_held_stack_is_repaired_and_ends_with_a_better_version() {
    let (mut bed, entry, text) = held_snapshot().await;
    bed.config_maps()
        .delete("new", &DeleteParams::default())
        .await
        .expect("deleted");
    let attempt = bed.apply_entry(&entry, &text).await;
    assert!(results(&attempt).contains(&("new".into(), ObjectResult::Created)));
    held(&attempt);
    let attempt = bed.apply(&config_maps(&SIX)).await;
    assert_eq!(attempt.ending, Ending::Done, "{attempt:?}");
    assert_eq!(bed.names().await, SIX);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_large_removal_is_held_until_it_is_approved() {
    let mut bed = Bed::new().await;
    let name = format!("{}-own", bed.namespace);
    let namespace = format!("---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n");
    bed.settle(&format!("{}{namespace}", config_maps(&SIX)))
        .await;
    bed.restart().await;
    // The namespace may go, but not before what is held.
    let mut removal = TargetRemoval {
        revision: 9,
        ..bed.removal(OnRemove::Delete, &[KeptKind::Namespace])
    };
    let attempt = bed.remove(&removal).await;
    let expected = HeldLoss {
        cause: LossCause::Removal(9),
        objects: keys(&bed, &SIX),
        owned: 7,
    };
    assert_eq!(held(&attempt), expected);
    assert!(!attempt.has_changed(), "{attempt:?}");
    assert_eq!(bed.names().await, SIX);
    removal.approved = Some(yes());
    let attempt = bed.remove(&removal).await;
    assert_eq!(attempt.ending, Ending::Done, "{attempt:?}");
    assert!(bed.names().await.is_empty());
}
