use brokkr_agent::reconcile::Ending;
use brokkr_core::wire::ObjectResult;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
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

/// A stack that could write there could stop the agent, replace it, or make it forget what it owns.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn what_is_the_agents_own_is_no_target() {
    let mut bed = Bed::new().await;
    let kept = bed.apply(&config_map("kept", "1")).await;
    assert_eq!(kept.ending, Ending::Done, "{kept:?}");
    let own = bed.records_namespace().to_owned();
    let namespaces: Api<Namespace> = Api::all(bed.client.clone());
    let accounts: Api<ServiceAccount> = Api::namespaced(bed.client.clone(), &own);
    let record = format!("brokkr-inventory-{}", bed.stack.id());
    let records = bed.records();
    let seen = async || {
        let all = records.list(&ListParams::default()).await;
        let mut records = all.expect("records").items;
        // Kubernetes' own, which it puts into every namespace when it comes to that.
        records.retain(|record| record.metadata.name.as_deref() != Some("kube-root-ca.crt"));
        let namespace = namespaces.get(&own).await.expect("the namespace");
        (records, namespace.metadata.labels)
    };
    let before = seen().await;
    let in_it = |kind: &str, name: &str| {
        format!("---\napiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {own}}}\n")
    };
    let cases = [
        ("brokkr-agent", in_it("ConfigMap", "brokkr-agent")),
        (record.as_str(), in_it("ConfigMap", &record)),
        ("taken-over", in_it("ServiceAccount", "taken-over")),
        ("anything", in_it("Secret", "anything")),
        (
            "brokkr-agent",
            format!(
                "---\napiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {{name: brokkr-agent, namespace: {own}}}\n"
            ),
        ),
        (
            own.as_str(),
            format!("---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {own}}}\n"),
        ),
    ];
    for (name, text) in cases {
        let attempt = bed
            .apply(&format!("{}{text}", config_map("innocent", "1")))
            .await;
        assert_eq!(
            results(&attempt),
            [(name.to_owned(), ObjectResult::Invalid)]
        );
        let reason = reason_of(&attempt, name);
        assert!(
            reason.contains(&own) && reason.contains("agent's own"),
            "{reason}"
        );
    }
    // Where a stack's objects go by default is no way in either, nor is the namespace that it may make.
    let text = config_map("a", "1");
    let mut entry = bed.entry(&text);
    entry.default_namespace = Some(own.clone());
    entry.create_namespace = true;
    let attempt = bed.apply_entry(&entry, &text).await;
    let refused = [&own, "a"].map(|name| (name.to_owned(), ObjectResult::Invalid));
    let mut found = results(&attempt);
    found.sort_by_key(|(name, _)| *name == "a");
    assert_eq!(found, refused);

    assert_eq!(seen().await, before, "the agent's own was written to");
    assert!(
        accounts
            .get_opt("taken-over")
            .await
            .expect("a look")
            .is_none()
    );
    assert_eq!(
        bed.names().await,
        ["kept"],
        "nothing else was begun or ended"
    );
}
