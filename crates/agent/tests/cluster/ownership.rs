use brokkr_agent::reconcile::Ending;
use brokkr_core::wire::ObjectResult;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::bed::{Bed, config_map, reason_of, results};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_foreign_object_is_a_conflict_and_stays_as_it_is() {
    let mut bed = Bed::new().await;
    let before = bed.stranger_applies("taken", "theirs").await;
    let text = format!("{}{}", config_map("taken", "ours"), config_map("free", "1"));
    let entry = bed.entry(&text);
    for _ in 0..3 {
        let attempt = bed.apply_entry(&entry, &text).await;
        assert_eq!(
            results(&attempt),
            [("taken".into(), ObjectResult::Conflict)]
        );
        assert!(reason_of(&attempt, "taken").contains("stranger"));
        assert_eq!(bed.config_maps().get("taken").await.expect("taken"), before);
        assert_eq!(bed.names().await, ["taken"], "nothing else was begun");
    }
    bed.config_maps()
        .delete("taken", &DeleteParams::default())
        .await
        .expect("deleted");
    assert_eq!(bed.apply_entry(&entry, &text).await.ending, Ending::Done);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn an_object_belongs_to_one_stack() {
    let mut bed = Bed::new().await;
    let mut other = bed.neighbour();
    bed.apply(&config_map("a", "1")).await;
    let before = bed.config_maps().get("a").await.expect("a");
    let attempt = other.apply(&config_map("a", "2")).await;
    assert_eq!(results(&attempt), [("a".into(), ObjectResult::Conflict)]);
    assert_eq!(bed.config_maps().get("a").await.expect("a"), before);
    // It moves by leaving the one and then joining the other.
    bed.apply(&config_map("b", "1")).await;
    assert_eq!(
        other.apply(&config_map("a", "2")).await.ending,
        Ending::Done
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn edits_and_deletions_of_what_is_ours_are_repaired() {
    let mut bed = Bed::new().await;
    let text = format!(
        "{}{}",
        config_map("edited", "1"),
        config_map("deleted", "1")
    );
    let entry = bed.entry(&text);
    bed.apply_entry(&entry, &text).await;
    let edit = json!({"data": {"a": "2", "theirs": "stays"}});
    bed.config_maps()
        .patch("edited", &PatchParams::default(), &Patch::Merge(edit))
        .await
        .expect("edited");
    bed.config_maps()
        .delete("deleted", &DeleteParams::default())
        .await
        .expect("deleted");
    let attempt = bed.apply_entry(&entry, &text).await;
    assert_eq!(
        results(&attempt),
        [
            ("deleted".into(), ObjectResult::Created),
            ("edited".into(), ObjectResult::Changed)
        ]
    );
    let data = bed
        .config_maps()
        .get("edited")
        .await
        .expect("edited")
        .data
        .expect("data");
    assert_eq!(
        (data["a"].as_str(), data["theirs"].as_str()),
        ("1", "stays")
    );
    assert!(!bed.apply_entry(&entry, &text).await.has_changed());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn an_object_that_somebody_made_again_is_theirs() {
    let mut bed = Bed::new().await;
    let text = config_map("a", "1");
    let entry = bed.entry(&text);
    bed.apply_entry(&entry, &text).await;
    let mut copy = bed.config_maps().get("a").await.expect("a");
    bed.config_maps()
        .delete("a", &DeleteParams::default())
        .await
        .expect("deleted");
    copy.metadata.resource_version = None;
    copy.metadata.uid = None;
    // Label, managers, content: all as ours had it.
    let before = bed
        .config_maps()
        .create(&PostParams::default(), &copy)
        .await
        .expect("made again");
    let attempt = bed.apply_entry(&entry, &text).await;
    assert_eq!(results(&attempt), [("a".into(), ObjectResult::Conflict)]);
    let attempt = bed.apply(&config_map("b", "1")).await;
    assert_eq!(attempt.ending, Ending::Done, "{attempt:?}");
    assert_eq!(bed.config_maps().get("a").await.expect("a"), before);
}
