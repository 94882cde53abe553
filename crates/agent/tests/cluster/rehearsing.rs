//! Saying what a content would change, and changing nothing.

use std::fmt::Debug;

use brokkr_agent::reconcile::Ending;
use brokkr_core::wire::{LivePlan, PlannedAction, PlannedObject, TargetStack};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::bed::{Bed, config_map};

/// In every state that a test could see: what the agent's namespace and the stack's have.
async fn versions(bed: &Bed) -> Vec<(String, Option<String>)> {
    let mut versions = versions_of(bed.config_maps()).await;
    versions.extend(versions_of(secrets(bed)).await);
    versions.extend(versions_of(bed.records()).await);
    versions
}

/// But for what Kubernetes puts into every namespace, some time after it came.
async fn versions_of<K>(api: Api<K>) -> Vec<(String, Option<String>)>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let all = api.list(&ListParams::default()).await.expect("a list");
    all.into_iter()
        .filter(|object| object.name_any() != "kube-root-ca.crt")
        .map(|object| (object.name_any(), object.resource_version()))
        .collect()
}

fn secrets(bed: &Bed) -> Api<Secret> {
    Api::namespaced(bed.client.clone(), &bed.namespace)
}

fn of<'a>(plan: &'a LivePlan, name: &str) -> &'a PlannedObject {
    let found = plan.objects.iter().find(|one| one.object.name == name);
    found.unwrap_or_else(|| panic!("no {name}: {plan:#?}"))
}

fn next(bed: &mut Bed, text: &str) -> TargetStack {
    bed.entry(text)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_plan_says_what_would_become_of_every_object_and_changes_none() {
    let mut bed = Bed::new().await;
    let first: String = ["same", "edited", "dropped"]
        .map(|name| config_map(name, "1"))
        .concat();
    assert_eq!(bed.apply(&first).await.ending, Ending::Done);
    bed.stranger_applies("theirs", "theirs").await;
    bed.stranger_applies("edited", "by hand").await;
    let before = versions(&bed).await;

    let second: String = [
        config_map("same", "1"),
        config_map("edited", "2"),
        config_map("new", "2"),
        config_map("theirs", "ours"),
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad}\ndata: {a: {b: c}}\n"
            .to_owned(),
    ]
    .concat();
    let entry = next(&mut bed, &second);
    let plan = bed.rehearse(&entry, &second).await;
    assert_eq!(plan.unchanged, 1, "{plan:#?}");
    for (name, action) in [
        ("edited", PlannedAction::Change),
        ("new", PlannedAction::Create),
        ("theirs", PlannedAction::Conflict),
        ("bad", PlannedAction::Refuse),
        ("dropped", PlannedAction::Prune),
    ] {
        assert_eq!(of(&plan, name).action, action, "{name}");
    }
    let fields = &of(&plan, "edited").fields;
    assert_eq!(fields.len(), 1, "{fields:?}");
    assert_eq!(fields[0].path, "data.a");
    assert_eq!(fields[0].before, Some("by hand".into()));
    assert_eq!(fields[0].after, Some("2".into()));
    let reason = of(&plan, "theirs").reason.clone().unwrap_or_default();
    assert!(reason.contains("stranger"), "{reason}");
    assert_eq!(versions(&bed).await, before);

    // What is applied is as the plan says, and then there is nothing more to plan.
    let third = format!("{}{}", config_map("same", "1"), config_map("edited", "2"));
    assert_eq!(bed.settle(&third).await.ending, Ending::Done);
    let entry = next(&mut bed, &third);
    let plan = bed.rehearse(&entry, &third).await;
    assert!(plan.is_nothing() && plan.unchanged == 2, "{plan:#?}");
}

/// Neither as what it was, nor as what it would be, nor in the copy that kubectl keeps, nor in a refusal's words.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_secrets_values_are_in_no_plan() {
    let mut bed = Bed::new().await;
    let secret = |name: &str, value: &str| {
        format!(
            "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{password: {value}}}\n"
        )
    };
    let first = format!("{}{}", secret("a", "hunter-one"), secret("b", "hunter-one"));
    assert_eq!(bed.apply(&first).await.ending, Ending::Done);
    let copy = json!({"metadata": {"annotations": {
        "kubectl.kubernetes.io/last-applied-configuration": "{\"stringData\": {\"password\": \"hunter-two\"}}",
        "note": "hunter-three",
    }}});
    let merge = Patch::Merge(copy);
    secrets(&bed)
        .patch("a", &PatchParams::default(), &merge)
        .await
        .expect("a patch");
    // No Secret may be of that size, which is said with the whole of it.
    let second = [
        secret("a", "hunter-four").replace(
            "metadata: {name: a}",
            "metadata: {name: a, annotations: {note: hunter-five}}",
        ),
        secret("b", "hunter-one").replace("stringData", "type: hunter-six\nstringData"),
        secret("c", "hunter-seven").replace("name: c", "name: C_hunter"),
    ]
    .concat();
    let entry = next(&mut bed, &second);
    let plan = bed.rehearse(&entry, &second).await;
    let said = serde_json::to_string(&plan).expect("JSON");
    let said = said.replace("C_hunter", "");
    assert!(!said.contains("hunter"), "{said}");
    for value in ["hunter-one", "hunter-two", "hunter-four"] {
        let encoded = serde_json::to_value(ByteString(value.into())).expect("JSON");
        let encoded = encoded.as_str().expect("a text");
        assert!(!said.contains(encoded), "{said}");
    }
    let changed = of(&plan, "a");
    assert_eq!(changed.action, PlannedAction::Change);
    let paths: Vec<_> = changed
        .fields
        .iter()
        .map(|field| field.path.as_str())
        .collect();
    assert_eq!(
        paths,
        ["data.password", "metadata.annotations.note"],
        "{changed:#?}"
    );
    assert!(changed.fields.iter().all(|field| field.hidden));
    assert_eq!(of(&plan, "C_hunter").action, PlannedAction::Refuse);
}

/// Also for the first look at a stack that was never here, of which there is no record at all.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_plan_of_a_new_stack_makes_nothing_of_it() {
    let mut bed = Bed::new().await;
    let elsewhere = format!("{}-new", bed.namespace);
    let text = config_map("a", "1");
    let entry = TargetStack {
        default_namespace: Some(elsewhere.clone()),
        create_namespace: true,
        ..next(&mut bed, &text)
    };
    let before = versions(&bed).await;
    let plan = bed.rehearse(&entry, &text).await;
    for name in [elsewhere.as_str(), "a"] {
        assert_eq!(of(&plan, name).action, PlannedAction::Create);
    }
    assert_eq!(versions(&bed).await, before);
    let made: Api<ConfigMap> = Api::namespaced(bed.client.clone(), &elsewhere);
    assert!(made.get_opt("a").await.expect("a look").is_none());
}
