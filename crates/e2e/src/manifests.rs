//! Small manifests for stories.

/// One text of several documents.
pub fn snapshot<T: AsRef<str>>(documents: impl IntoIterator<Item = T>) -> String {
    let mut text = String::new();
    for document in documents {
        text.push_str("---\n");
        text.push_str(document.as_ref());
    }
    text
}

/// A `ConfigMap` that holds one value.
pub fn config_map(name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  value: \"{value}\"\n"
    )
}

/// A `Deployment` of one replica.
pub fn deployment(name: &str, image: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
spec:
  selector:
    matchLabels: {{app: {name}}}
  template:
    metadata:
      labels: {{app: {name}}}
    spec:
      containers:
        - name: main
          image: {image}
"
    )
}

/// A `Job` of one pod, whose failures are retried so many times.
pub fn job(name: &str, image: &str, retries: u32) -> String {
    format!(
        "apiVersion: batch/v1
kind: Job
metadata:
  name: {name}
spec:
  backoffLimit: {retries}
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: main
          image: {image}
"
    )
}

/// A claim for storage.
pub fn claim(name: &str) -> String {
    format!(
        "apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {name}
spec:
  accessModes: [ReadWriteOnce]
  resources:
    requests: {{storage: 1Gi}}
"
    )
}

/// A namespace.
pub fn namespace(name: &str) -> String {
    format!("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n")
}

/// The definition of `kind: Anvil` in a group of one's own.
pub fn anvil_definition(group: &str) -> String {
    format!(
        "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: anvils.{group}
spec:
  group: {group}
  scope: Namespaced
  names: {{kind: Anvil, listKind: AnvilList, plural: anvils, singular: anvil}}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties:
                weight: {{type: integer}}
"
    )
}

/// An `Anvil` of that group.
pub fn anvil(group: &str, name: &str) -> String {
    format!(
        "apiVersion: {group}/v1\nkind: Anvil\nmetadata:\n  name: {name}\nspec:\n  weight: 250\n"
    )
}
