//! With the least access an agent can do all that it does with a snapshot, and with any less it cannot.

use brokkr_agent::reconcile::{Attempt, Ending};
use brokkr_core::access::{Access, Rule};
use brokkr_core::manifest;
use brokkr_core::wire::{Health, ObjectResult, OnRemove};
use kube::api::DeleteParams;
use serde_json::json;

use crate::bed::{Bed, config_map, results};

/// Something of each phase and place, with rights among it.
fn application(namespace: &str) -> String {
    format!(
        "{}{}
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: web}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: reader}}
rules: [{{apiGroups: [''], resources: [secrets], verbs: [get]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: reader}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}}
subjects: [{{kind: ServiceAccount, name: web, namespace: {namespace}}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: '{namespace}'}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}}
subjects: [{{kind: ServiceAccount, name: web, namespace: {namespace}}}]
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {{name: '{namespace}'}}
value: 1
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{serviceAccountName: web, containers: [{{name: main, image: 'works:1'}}]}}
",
        config_map("a", "1"),
        config_map("b", "1"),
    )
}

/// A bed whose agent is a fresh service account with the least access for a text, less a verb.
async fn bed_with(text: impl Fn(&str) -> String, less: Option<&str>) -> (Bed, String) {
    let mut bed = Bed::new().await;
    let text = text(&bed.namespace);
    let manifests = manifest::parse(&text, Some(&bed.namespace)).expect("manifests");
    let access = Access::least(&manifests, Some(&bed.namespace), false);
    assert!(access.guessed.is_empty());
    let user = format!("system:serviceaccount:{}:tester", bed.namespace);
    let without = |rules: &[Rule]| {
        let mut rules = rules.to_vec();
        for rule in &mut rules {
            rule.verbs.retain(|verb| Some(*verb) != less);
        }
        rules.retain(|rule| !rule.verbs.is_empty());
        json!(rules)
    };
    for (namespace, rules) in &access.rules {
        match namespace {
            None => bed.may(&user, &without(rules)).await,
            Some(namespace) => bed.may_within(namespace, &user, &without(rules)).await,
        }
    }
    // What it needs for its own records, as the guide has it.
    let records = json!([{
        "apiGroups": [""], "resources": ["configmaps"],
        "verbs": ["get", "list", "create", "update", "delete"],
    }]);
    let namespace = bed.records_namespace().to_owned();
    bed.may_within(&namespace, &user, &records).await;
    bed.become_user(&user).await;
    (bed, text)
}

/// An attempt, again while something only takes time.
async fn attempt(bed: &mut Bed, text: &str) -> Attempt {
    let entry = bed.entry(text);
    loop {
        let attempt = bed.apply_entry(&entry, text).await;
        if !matches!(attempt.ending, Ending::Waiting(_)) {
            return attempt;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn the_least_access_is_enough_to_install_change_repair_and_remove() {
    let (mut bed, text) = bed_with(application, None).await;
    let installed = attempt(&mut bed, &text).await;
    assert_eq!(installed.ending, Ending::Done, "{installed:?}");
    bed.healthy().await;
    let changed = attempt(&mut bed, &text.replace("'1'", "'2'")).await;
    assert_eq!(changed.ending, Ending::Done, "{changed:?}");
    let deleted = bed
        .config_maps()
        .delete("a", &DeleteParams::default())
        .await;
    deleted.expect("deleted");
    let repaired = attempt(&mut bed, &text.replace("'1'", "'2'")).await;
    assert!(results(&repaired).contains(&("a".to_owned(), ObjectResult::Created)));
    let pruned = attempt(&mut bed, &text.replacen(&config_map("a", "1"), "", 1)).await;
    assert_eq!(pruned.ending, Ending::Done, "{pruned:?}");
    let mut removal = bed.removal(OnRemove::Delete, &[]);
    removal.approved = Some(crate::bed::yes());
    let removed = bed.remove(&removal).await;
    assert_eq!(removed.ending, Ending::Done, "{removed:?}");
    assert!(bed.names().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn with_any_verb_less_it_is_not_enough() {
    for verb in ["get", "create", "patch", "escalate", "bind"] {
        let (mut bed, text) = bed_with(application, Some(verb)).await;
        let attempt = attempt(&mut bed, &text).await;
        let Ending::Failed(why) = &attempt.ending else {
            panic!("without {verb}: {attempt:?}");
        };
        assert!(why.contains("(403)"), "without {verb}: {why}");
    }
    let (mut bed, text) = bed_with(application, Some("list")).await;
    assert_eq!(attempt(&mut bed, &text).await.ending, Ending::Done);
    let seen = bed.reconciler.observe(&bed.stack).await.expect("a look");
    assert_eq!(seen.expect("readiness").health, Health::Unknown);
    let (mut bed, text) = bed_with(application, Some("delete")).await;
    assert_eq!(attempt(&mut bed, &text).await.ending, Ending::Done);
    let mut removal = bed.removal(OnRemove::Delete, &[]);
    removal.approved = Some(crate::bed::yes());
    let removed = bed.remove(&removal).await;
    assert!(matches!(removed.ending, Ending::Failed(_)), "{removed:?}");
}
