//! Taking over objects that exist already.

use brokkr_agent::reconcile::{Attempt, Ending};
use brokkr_core::object::KeptKind;
use brokkr_core::wire::{Adopt, ObjectResult, OnRemove, TargetStack};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, ResourceQuota};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::bed::{Bed, config_map, reason_of, results};

fn entry(bed: &mut Bed, text: &str, adopt: Adopt) -> TargetStack {
    TargetStack {
        adopt,
        ..bed.entry(text)
    }
}

async fn attempt(bed: &mut Bed, text: &str, adopt: Adopt) -> Attempt {
    let entry = entry(bed, text, adopt);
    bed.apply_entry(&entry, text).await
}

async fn seen(bed: &Bed, name: &str) -> ConfigMap {
    bed.config_maps().get(name).await.expect("an object")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn what_exists_is_taken_and_is_owned_from_then_on() {
    let mut bed = Bed::new().await;
    let before = bed.stranger_applies("taken", "theirs").await;
    let text = format!("{}{}", config_map("taken", "ours"), config_map("free", "1"));
    let attempt = attempt(&mut bed, &text, Adopt::Always).await;
    assert_eq!(attempt.ending, Ending::Done, "{attempt:?}");
    assert_eq!(
        results(&attempt),
        [
            ("free".into(), ObjectResult::Created),
            ("taken".into(), ObjectResult::Changed)
        ]
    );
    assert_eq!(reason_of(&attempt, "taken"), "adopted from stranger");
    let after = seen(&bed, "taken").await;
    assert_eq!(after.metadata.uid, before.metadata.uid);
    assert_eq!(after.data.expect("data")["a"], "ours");
    // It is the stack's like any other: nothing to do the next time, also without adopting, and gone with it.
    let entry = entry(&mut bed, &text, Adopt::Never);
    bed.restart().await;
    let attempt = bed.apply_entry(&entry, &text).await;
    assert_eq!(attempt.ending, Ending::Done, "{attempt:?}");
    assert!(!attempt.has_changed(), "{attempt:?}");
    let removal = bed.removal(OnRemove::Delete, &[]);
    assert_eq!(bed.remove(&removal).await.ending, Ending::Done);
    assert!(bed.names().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn what_is_identical_is_taken_and_what_is_not_is_not_touched() {
    let mut bed = Bed::new().await;
    let before = bed.stranger_applies("same", "1").await;
    let other = bed.stranger_applies("other", "theirs").await;
    let same = config_map("same", "1");
    let text = format!("{same}{}", config_map("other", "ours"));
    let refused = attempt(&mut bed, &text, Adopt::IfIdentical).await;
    assert_eq!(
        results(&refused),
        [("other".into(), ObjectResult::Conflict)]
    );
    let reason = reason_of(&refused, "other");
    assert!(
        reason.contains("data.a") && reason.contains("stranger"),
        "{reason}"
    );
    assert_eq!(seen(&bed, "other").await, other);
    assert_eq!(seen(&bed, "same").await, before, "nothing was begun");
    let taken = attempt(&mut bed, &same, Adopt::IfIdentical).await;
    assert_eq!(taken.ending, Ending::Done, "{taken:?}");
    assert_eq!(reason_of(&taken, "same"), "adopted from stranger");
    let after = seen(&bed, "same").await;
    let label = bed.stack.id().to_string();
    let labels = after.metadata.labels.expect("labels");
    assert_eq!(labels.get("brokkr.io/stack"), Some(&label));
    assert_eq!(after.data, before.data);
    assert_eq!(after.metadata.uid, before.metadata.uid);
    // What we do not say is somebody else's: more data is no difference, a deletion is no sharing.
    assert_eq!(seen(&bed, "other").await, other);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn what_is_another_stacks_is_never_taken() {
    let mut bed = Bed::new().await;
    let mut other = bed.neighbour();
    let text = config_map("a", "1");
    bed.apply(&text).await;
    let before = seen(&bed, "a").await;
    let refused = attempt(&mut other, &text, Adopt::Always).await;
    assert_eq!(results(&refused), [("a".into(), ObjectResult::Conflict)]);
    let owner = bed.stack.id().to_string();
    assert!(reason_of(&refused, "a").contains(&owner), "{refused:?}");
    assert_eq!(seen(&bed, "a").await, before);
    // Somebody took the label off: the inventory still knows.
    let unlabel = json!({"metadata": {"labels": {"brokkr.io/stack": null}}});
    let unlabelled = bed
        .config_maps()
        .patch("a", &PatchParams::default(), &Patch::Merge(unlabel))
        .await
        .expect("a patch");
    for adopt in [Adopt::Always, Adopt::IfIdentical] {
        let refused = attempt(&mut other, &text, adopt).await;
        assert_eq!(results(&refused), [("a".into(), ObjectResult::Conflict)]);
        assert!(reason_of(&refused, "a").contains(&owner), "{refused:?}");
        assert_eq!(seen(&bed, "a").await, unlabelled);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn what_is_being_deleted_is_waited_for() {
    let mut bed = Bed::new().await;
    let held = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "going", "finalizers": ["example.io/wait"]},
    });
    let params = PatchParams::apply("stranger");
    bed.config_maps()
        .patch("going", &params, &Patch::Apply(held))
        .await
        .expect("a patch");
    bed.config_maps()
        .delete("going", &DeleteParams::default())
        .await
        .expect("deleted");
    let before = seen(&bed, "going").await;
    let text = config_map("going", "1");
    let waiting = attempt(&mut bed, &text, Adopt::Always).await;
    assert!(
        matches!(&waiting.ending, Ending::Waiting(why) if why.contains("example.io/wait")),
        "{waiting:?}"
    );
    assert_eq!(seen(&bed, "going").await, before);
    let free = json!({"metadata": {"finalizers": null}});
    bed.config_maps()
        .patch("going", &PatchParams::default(), &Patch::Merge(free))
        .await
        .expect("a patch");
    let created = attempt(&mut bed, &text, Adopt::Always).await;
    assert_eq!(results(&created), [("going".into(), ObjectResult::Created)]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn what_was_kept_can_be_taken_back() {
    let mut bed = Bed::new().await;
    let claim = "---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n";
    let rest = config_map("rest", "1");
    let both = format!("{rest}{claim}");
    bed.settle(&both).await;
    let dropped = bed.settle(&rest).await;
    assert!(
        results(&dropped).contains(&("data".into(), ObjectResult::Kept)),
        "{dropped:?}"
    );
    let conflict = attempt(&mut bed, &both, Adopt::Never).await;
    assert_eq!(
        results(&conflict),
        [("data".into(), ObjectResult::Conflict)]
    );
    let taken = attempt(&mut bed, &both, Adopt::IfIdentical).await;
    assert_eq!(taken.ending, Ending::Done, "{taken:?}");
    assert!(
        reason_of(&taken, "data").starts_with("adopted"),
        "{taken:?}"
    );
    let removal = bed.removal(OnRemove::Delete, &[KeptKind::PersistentVolumeClaim]);
    let gone = bed.remove(&removal).await;
    assert!(
        results(&gone).contains(&("data".into(), ObjectResult::Pruned)),
        "{gone:?}"
    );
}

/// The namespace takes so many `ConfigMaps`, and one more, which the cluster makes of itself.
async fn only_so_many_config_maps(bed: &Bed, count: u32) {
    let quotas: Api<ResourceQuota> = Api::namespaced(bed.client.clone(), &bed.namespace);
    let hard = json!({"count/configmaps": (count + 1).to_string()});
    let quota = json!({"metadata": {"name": "few"}, "spec": {"hard": hard}});
    let quota = serde_json::from_value(quota).expect("a quota");
    let made = quotas.create(&PostParams::default(), &quota).await;
    made.expect("a quota");
    let is_counted = |quota: Option<&ResourceQuota>| {
        let used = quota.and_then(|quota| quota.status.as_ref()?.used.as_ref());
        used.and_then(|used| used.get("count/configmaps"))
            .is_some_and(|used| used.0 == "1")
    };
    kube::runtime::wait::await_condition(quotas, "few", is_counted)
        .await
        .expect("a status");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn what_was_let_go_is_nobodys_until_it_is_written_again() {
    let mut bed = Bed::new().await;
    let lease = "---\napiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: late}\nspec: {holderIdentity: us}\n";
    let leases: Api<Lease> = Api::namespaced(bed.client.clone(), &bed.namespace);
    bed.settle(lease).await;
    let let_go = bed.remove(&bed.removal(OnRemove::Orphan, &[])).await;
    assert_eq!(let_go.ending, Ending::Done, "{let_go:?}");
    let before = leases.get("late").await.expect("a lease");
    // Each of the two may be created, as a dry run says, and both may not: the lease's turn never comes.
    only_so_many_config_maps(&bed, 1).await;
    let text = format!("{}{}{lease}", config_map("a", "1"), config_map("b", "1"));
    let text = text.replace("holderIdentity: us", "holderIdentity: us-again");
    let cut_short = attempt(&mut bed, &text, Adopt::Always).await;
    let late = results(&cut_short)
        .into_iter()
        .find(|(name, _)| name == "late");
    assert_eq!(
        late,
        Some(("late".into(), ObjectResult::Skipped)),
        "{cut_short:?}"
    );
    let removed = bed.remove(&bed.removal(OnRemove::Delete, &[])).await;
    assert_eq!(removed.ending, Ending::Done, "{removed:?}");
    let after = leases
        .get("late")
        .await
        .expect("it stays, whoever has it now");
    assert_eq!(after, before);
}
