//! A stack whose drift is only reported: what others did stays, and is said.

use brokkr_agent::reconcile::{Attempt, Ending};
use brokkr_core::wire::{Drift, ObjectResult, TargetStack};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::bed::{Bed, config_map, results};

fn text(a: &str, b: &str) -> String {
    [config_map("a", a), config_map("b", b), config_map("c", "1")].concat()
}

fn entry(bed: &mut Bed, text: &str, drift: Drift) -> TargetStack {
    TargetStack {
        drift,
        ..bed.entry(text)
    }
}

/// Edits `a` and deletes `b`.
async fn trouble(bed: &Bed) {
    let edit = Patch::Merge(json!({"data": {"a": "edited"}}));
    let by = PatchParams {
        field_manager: Some("somebody".to_owned()),
        ..PatchParams::default()
    };
    let maps = bed.config_maps();
    maps.patch("a", &by, &edit).await.expect("edited");
    maps.delete("b", &DeleteParams::default())
        .await
        .expect("deleted");
}

/// The value of each object that is there.
async fn values(bed: &Bed) -> Vec<(String, String)> {
    let mut values = Vec::new();
    for name in ["a", "b", "c"] {
        let found = bed.config_maps().get_opt(name).await.expect("an answer");
        if let Some(mut data) = found.and_then(|map| map.data) {
            values.push((name.to_owned(), data.remove("a").unwrap_or_default()));
        }
    }
    values
}

fn pairs(values: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    values.iter().map(owned).collect()
}

fn why(attempt: &Attempt) -> &str {
    match &attempt.ending {
        Ending::Held(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn what_others_did_is_left_and_said_where_drift_is_only_reported() {
    let mut bed = Bed::new().await;
    let first = text("1", "1");
    let reported = entry(&mut bed, &first, Drift::Report);
    let attempt = bed.apply_entry(&reported, &first).await;
    assert_eq!(attempt.ending, Ending::Done);
    trouble(&bed).await;

    let drifted = pairs(&[("a", "edited"), ("c", "1")]);
    for _ in 0..2 {
        let attempt = bed.apply_entry(&reported, &first).await;
        let why = why(&attempt);
        assert!(why.contains("/a: somebody has set data.a; "), "{why}");
        assert!(
            why.contains("/b: it has been deleted — left as it is"),
            "{why}"
        );
        let skipped = |name: &str| (name.to_owned(), ObjectResult::Skipped);
        let unchanged = ("c".to_owned(), ObjectResult::Unchanged);
        assert_eq!(results(&attempt), [skipped("a"), skipped("b"), unchanged]);
        assert_eq!(values(&bed).await, drifted);
        bed.restart().await;
    }

    // A version that changes one of them writes that one, and no other.
    let second = text("2", "1");
    let changed = entry(&mut bed, &second, Drift::Report);
    let attempt = bed.apply_entry(&changed, &second).await;
    assert!(!why(&attempt).contains("/a:"), "{attempt:?}");
    assert!(
        attempt.success.is_some(),
        "the version is in place but for what others did"
    );
    assert_eq!(values(&bed).await, pairs(&[("a", "2"), ("c", "1")]));

    let repaired = entry(&mut bed, &second, Drift::Repair);
    let attempt = bed.apply_entry(&repaired, &second).await;
    assert_eq!(attempt.ending, Ending::Done, "{attempt:?}");
    assert_eq!(
        values(&bed).await,
        pairs(&[("a", "2"), ("b", "1"), ("c", "1")])
    );
}
