//! Objects that cannot be changed as they are wanted.

use brokkr_agent::reconcile::Ending;
use brokkr_core::wire::ObjectResult;
use k8s_openapi::api::batch::v1::Job;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::bed::{Bed, config_map, reason_of, results};

fn job(image: u32, annotations: &str) -> String {
    format!(
        "---
apiVersion: batch/v1
kind: Job
metadata: {{name: once, annotations: {{{annotations}}}}}
spec:
  suspend: true
  template:
    spec: {{restartPolicy: Never, containers: [{{name: main, image: 'example/once:{image}'}}]}}
"
    )
}

const RECREATE: &str = "brokkr.io/recreate: enabled";

async fn once(bed: &Bed) -> Job {
    let jobs: Api<Job> = Api::namespaced(bed.client.clone(), &bed.namespace);
    jobs.get("once").await.expect("the job")
}

fn image(job: &Job) -> String {
    let spec = job.spec.clone().expect("a spec").template.spec;
    spec.expect("a pod").containers[0]
        .image
        .clone()
        .expect("an image")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn what_cannot_be_changed_is_said_with_what_to_do() {
    let mut bed = Bed::new().await;
    bed.settle(&job(1, "")).await;
    let before = once(&bed).await;
    let keep = format!("{RECREATE}, brokkr.io/prune: disabled");
    let helm = format!("{RECREATE}, helm.sh/resource-policy: keep");
    for (annotations, word) in [
        ("", "brokkr.io/recreate"),
        (&*keep, "asks not to"),
        (&*helm, "asks not to"),
    ] {
        let text = format!("{}{}", job(2, annotations), config_map("new", "1"));
        let attempt = bed.apply(&text).await;
        assert_eq!(results(&attempt), [("once".into(), ObjectResult::Invalid)]);
        let reason = reason_of(&attempt, "once");
        assert!(
            reason.contains("spec.template") && reason.contains(word),
            "{reason}"
        );
        let now = once(&bed).await;
        assert_eq!(
            (now.metadata.uid, image(&before)),
            (before.metadata.uid.clone(), "example/once:1".into())
        );
        assert!(bed.names().await.is_empty(), "nothing else was begun");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn what_may_be_made_anew_is() {
    let mut bed = Bed::new().await;
    bed.settle(&job(1, RECREATE)).await;
    let before = once(&bed).await;
    // With anything else wrong, nothing is begun.
    let typo =
        "---\napiVersion: v1\nkind: Service\nmetadata: {name: typo}\nspec: {prots: [{port: 80}]}\n";
    let attempt = bed.apply(&format!("{}{typo}", job(2, RECREATE))).await;
    assert!(reason_of(&attempt, "typo").contains("prots"), "{attempt:?}");
    assert_eq!(attempt.objects.len(), 1, "{attempt:?}");
    assert_eq!(once(&bed).await.metadata.uid, before.metadata.uid);
    let text = job(2, RECREATE);
    let entry = bed.entry(&text);
    let attempt = bed.apply_entry(&entry, &text).await;
    assert_eq!(attempt.ending, Ending::Done, "{attempt:?}");
    assert_eq!(results(&attempt), [("once".into(), ObjectResult::Changed)]);
    assert!(reason_of(&attempt, "once").contains("created again"));
    let now = once(&bed).await;
    assert_eq!(image(&now), "example/once:2");
    assert_ne!(now.metadata.uid, before.metadata.uid);
    let attempt = bed.apply_entry(&entry, &text).await;
    assert!(!attempt.has_changed(), "{attempt:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn what_goes_slowly_is_made_anew_when_it_is_gone() {
    let mut bed = Bed::new().await;
    bed.settle(&job(1, RECREATE)).await;
    let jobs: Api<Job> = Api::namespaced(bed.client.clone(), &bed.namespace);
    let finalizers = |finalizers: &[&str]| {
        let jobs = jobs.clone();
        let patch = Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
        async move { jobs.patch("once", &PatchParams::default(), &patch).await }
    };
    finalizers(&["example.io/wait"]).await.expect("held");
    let text = job(2, RECREATE);
    let entry = bed.entry(&text);
    let attempt = bed.apply_entry(&entry, &text).await;
    assert!(
        reason_of(&attempt, "once").contains("example.io/wait"),
        "{attempt:?}"
    );
    bed.restart().await;
    let attempt = bed.apply_entry(&entry, &text).await;
    assert!(matches!(attempt.ending, Ending::Waiting(_)), "{attempt:?}");
    finalizers(&[]).await.expect("let go");
    let attempt = bed.apply_entry(&entry, &text).await;
    assert_eq!(attempt.ending, Ending::Done, "{attempt:?}");
    assert_eq!(image(&once(&bed).await), "example/once:2");
}
