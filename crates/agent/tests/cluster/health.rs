//! How the objects do, where not all of it may be seen.

use std::fmt::{Debug, Write as _};

use brokkr_core::readiness::Readiness;
use brokkr_core::wire::Health;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::Api;
use kube::api::PostParams;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::bed::{Bed, config_map};

fn deployment(namespace: &str, image: &str) -> String {
    format!(
        "---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, namespace: {namespace}}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: main, image: \"{image}\"}}]}}
"
    )
}

async fn until(bed: &Bed, as_wanted: impl Fn(&Readiness) -> bool) {
    for _ in 0..150 {
        let seen = bed.reconciler.observe(&bed.stack).await.expect("a look");
        if seen.is_some_and(|seen| as_wanted(&seen)) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    panic!("{:?}", bed.reconciler.observe(&bed.stack).await);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn workloads_of_many_namespaces_keep_their_own_health() {
    let mut bed = Bed::new().await;
    let namespaces: Api<Namespace> = Api::all(bed.client.clone());
    let mut text = String::new();
    for number in 0..6 {
        let name = format!("{}-{number}", bed.namespace);
        let namespace = serde_json::from_value(json!({"metadata": {"name": name}})).expect("JSON");
        let made = namespaces.create(&PostParams::default(), &namespace).await;
        made.expect("a namespace");
        let image = if number == 4 { "broken:1" } else { "works:1" };
        let _ = write!(text, "{}", deployment(&name, image));
    }
    bed.settle(&text).await;
    let bad = format!("Deployment.apps {}-4/web: ", bed.namespace);
    until(&bed, |seen| {
        let reason = seen.reason.as_deref().unwrap_or_default();
        // All others are well, so that one is all that is told.
        seen.health == Health::Degraded && reason.starts_with(&bad) && !reason.contains("more")
    })
    .await;
    bed.settle(&text.replace("broken", "works")).await;
    bed.healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn what_may_not_be_seen_is_unknown_and_hides_nothing() {
    let mut bed = Bed::new().await;
    let works = format!(
        "{}{}",
        deployment(&bed.namespace, "works:1"),
        config_map("a", "1")
    );
    let pod = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: lone}\nspec: {containers: [{name: main, image: 'broken:1'}]}\n";
    bed.settle(&works).await;
    bed.healthy().await;

    // Everything but lists of deployments.
    let user = format!("user-{}", bed.namespace);
    bed.may(&user, &json!([
        {"apiGroups": ["", "rbac.authorization.k8s.io"], "resources": ["*"], "verbs": ["*"]},
        {"apiGroups": ["apps"], "resources": ["*"], "verbs": ["get", "patch", "create", "delete"]},
    ]))
    .await;
    bed.become_user(&user).await;
    bed.settle(&works).await;
    until(&bed, |seen| {
        let reason = seen.reason.as_deref().unwrap_or_default();
        seen.health == Health::Unknown
            && reason.contains("web: cannot be seen: ")
            && reason.contains("cannot list resource \"deployments\"")
    })
    .await;
    bed.settle(&format!("{works}{pod}")).await;
    until(&bed, |seen| {
        let reason = seen.reason.as_deref().unwrap_or_default();
        seen.health == Health::Degraded && reason.contains("lone: container main is in Image")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn pods_that_may_not_be_seen_are_said() {
    let mut bed = Bed::new().await;
    let user = format!("user-{}", bed.namespace);
    bed.may(&user, &json!([
        {"apiGroups": ["", "apps"], "resources": ["configmaps", "namespaces", "deployments", "replicasets"], "verbs": ["*"]},
    ]))
    .await;
    bed.become_user(&user).await;
    bed.settle(&deployment(&bed.namespace, "broken:1")).await;
    until(&bed, |seen| {
        let reason = seen.reason.as_deref().unwrap_or_default();
        seen.health == Health::Progressing
            && reason.contains("0 of 1 replicas are available; its pods cannot be seen: ")
            && reason.contains("cannot list resource \"pods\"")
    })
    .await;
}

impl Bed {
    /// Lets somebody do in all the cluster what these rules say.
    pub async fn may(&self, user: &str, rules: &serde_json::Value) {
        let role: ClusterRole =
            serde_json::from_value(json!({"metadata": {"name": user}, "rules": rules}))
                .expect("a role");
        let binding: ClusterRoleBinding =
            serde_json::from_value(binding("ClusterRole", user)).expect("a binding");
        self.create(Api::all(self.client.clone()), &role).await;
        self.create(Api::all(self.client.clone()), &binding).await;
    }

    /// Lets somebody do in a namespace what these rules say; it is made if it is missing.
    pub async fn may_within(&self, namespace: &str, user: &str, rules: &serde_json::Value) {
        let role: Role =
            serde_json::from_value(json!({"metadata": {"name": user}, "rules": rules}))
                .expect("a role");
        let binding: RoleBinding =
            serde_json::from_value(binding("Role", user)).expect("a binding");
        self.create(Api::namespaced(self.client.clone(), namespace), &role)
            .await;
        self.create(Api::namespaced(self.client.clone(), namespace), &binding)
            .await;
    }

    async fn create<K>(&self, api: Api<K>, object: &K)
    where
        K: Clone + DeserializeOwned + Serialize + Debug,
    {
        api.create(&PostParams::default(), object)
            .await
            .expect("it is made");
    }
}

fn binding(kind: &str, user: &str) -> serde_json::Value {
    json!({
        "metadata": {"name": user},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": user},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    })
}
