use brokkr_agent::reconcile::Ending;
use brokkr_core::wire::ObjectResult;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;

use crate::bed::{Bed, config_map, results};

pub fn definition(group: &str, property: &str) -> String {
    format!(
        "---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: widgets.{group}}}
spec:
  group: {group}
  scope: Namespaced
  names: {{kind: Widget, plural: widgets, singular: widget, listKind: WidgetList}}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {{type: object, properties: {{{property}: {{type: string}}}}}}
"
    )
}

pub fn widget(group: &str, property: &str) -> String {
    format!(
        "---\napiVersion: {group}/v1\nkind: Widget\nmetadata: {{name: w}}\nspec: {{{property}: big}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_definition_and_its_resource_come_in_one_snapshot() {
    let mut bed = Bed::new().await;
    let group = format!("{}.example.io", bed.namespace);
    let text = format!("{}{}", widget(&group, "size"), definition(&group, "size"));
    let entry = bed.entry(&text);
    let attempt = bed.apply_entry(&entry, &text).await;
    assert_eq!(attempt.ending, Ending::Done, "{attempt:?}");
    assert!(!bed.apply_entry(&entry, &text).await.has_changed());
    // A new field comes with its definition, too.
    let text = format!(
        "{}{}",
        widget(&group, "colour"),
        definition(&group, "colour")
    );
    bed.settle(&text).await;
    let widgets = bed.dynamic(&format!("{group}/v1"), "Widget", "widgets");
    let w = widgets.get("w").await.expect("w");
    assert_eq!(w.data["spec"], serde_json::json!({"colour": "big"}));
    // The definition is of a kept kind; the resource is not.
    let attempt = bed.settle(&config_map("a", "1")).await;
    let mut results = results(&attempt);
    results.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(
        results,
        [
            ("a".into(), ObjectResult::Created),
            ("w".into(), ObjectResult::Pruned),
            (format!("widgets.{group}"), ObjectResult::Kept)
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_namespace_and_what_is_in_it_come_in_one_snapshot() {
    let mut bed = Bed::new().await;
    let name = format!("{}-new", bed.namespace);
    let text = format!(
        "apiVersion: v1
kind: ConfigMap
metadata: {{name: a, namespace: {name}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: b, namespace: {name}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}}
subjects: [{{kind: ServiceAccount, name: s, namespace: {name}}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: r, namespace: {name}}}
rules: [{{apiGroups: [''], resources: [pods], verbs: [get]}}]
---
apiVersion: v1
kind: Namespace
metadata: {{name: {name}, namespace: noise}}
"
    );
    let attempt = bed.apply(&text).await;
    assert_eq!(attempt.ending, Ending::Done, "{attempt:?}");
    let namespaces: Api<Namespace> = Api::all(bed.client.clone());
    assert!(namespaces.get(&name).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn the_default_namespace_is_made_if_asked_for_and_is_nobodys() {
    let mut bed = Bed::new().await;
    let name = format!("{}-made", bed.namespace);
    let text = config_map("a", "1");
    let mut entry = bed.entry(&text);
    entry.default_namespace = Some(name.clone());
    let attempt = bed.apply_entry(&entry, &text).await;
    assert!(matches!(attempt.ending, Ending::Failed(_)), "{attempt:?}");
    entry.create_namespace = true;
    let attempt = bed.apply_entry(&entry, &text).await;
    assert_eq!(attempt.ending, Ending::Done, "{attempt:?}");
    let namespaces: Api<Namespace> = Api::all(bed.client.clone());
    let namespace = namespaces.get(&name).await.expect("made");
    let labels = namespace.metadata.labels.unwrap_or_default();
    assert!(!labels.contains_key("brokkr.io/stack"));
    let attempt = bed.apply_entry(&entry, &text).await;
    assert!(!attempt.has_changed());
}
