use std::str::FromStr;

use anyhow::bail;
use brokkr_core::access::{Access, Rule};
use brokkr_core::manifest;
use brokkr_core::name::Reference;
use clap::Args;
use serde_json::{Value, json};

use crate::connection::Connection;
use crate::output;
use crate::terminal::say;

const GROUP: &str = "rbac.authorization.k8s.io";
const VERSION: &str = "rbac.authorization.k8s.io/v1";

/// Print the least roles that an agent's account needs for a stack's newest version, as YAML
///
/// They name its objects: print them again when a version has others. What is of a kept kind (Namespace,
/// CustomResourceDefinition, PersistentVolumeClaim) may not be deleted by them. What the agent needs for its own records is not
/// among them.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr agent rbac --stack checkout | kubectl apply -f -
  brokkr agent rbac --stack ci:shop --account deployers/shop")]
pub struct Rbac {
    /// The stack's name or id
    #[arg(long, value_name = "STACK")]
    stack: Reference,

    /// The service account that the agent runs as
    #[arg(
        long,
        value_name = "NAMESPACE/NAME",
        default_value = "brokkr-system/brokkr"
    )]
    account: Account,

    #[command(flatten)]
    connection: Connection,
}

/// A service account.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Account {
    namespace: String,
    name: String,
}

impl FromStr for Account {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((namespace, name)) if manifest::is_namespace(namespace) && !name.is_empty() => {
                Ok(Self {
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                })
            }
            _ => Err("write NAMESPACE/NAME, such as brokkr-system/brokkr".to_owned()),
        }
    }
}

impl Rbac {
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let stack = client.stack(&self.stack).await?;
        let Some(head) = &stack.head else {
            bail!(
                "stack {0} has no version yet: publish one first, with `brokkr apply -f FILE --stack {0}`",
                self.stack
            );
        };
        let version = client.deployment_object(head.deployment_object).await?;
        let text = client.manifests(head.deployment_object).await?;
        let namespace = version.default_namespace.as_deref();
        let manifests = manifest::parse(&text, namespace)?;
        let access = Access::least(&manifests, namespace, stack.options.create_namespace);
        let name = Reference::of(stack.generator.as_ref(), &stack.name).to_string();
        output::documents(&documents(&access, &name, &self.account))?;
        for kind in &access.guessed {
            say(&format!(
                "How a cluster calls {kind} is a guess, and so is that it has a namespace: compare with `kubectl api-resources`."
            ));
        }
        Ok(())
    }
}

/// A role and its binding for each namespace, and for the whole cluster.
fn documents(access: &Access, stack: &str, account: &Account) -> Vec<Value> {
    let name = format!("brokkr:{stack}");
    let role_and_binding = |(namespace, rules): (&Option<String>, &Vec<Rule>)| {
        let prefix = if namespace.is_some() { "" } else { "Cluster" };
        let mut metadata = json!({"name": &name});
        if let Some(namespace) = namespace {
            metadata["namespace"] = json!(namespace);
        }
        let kind = format!("{prefix}Role");
        let role = json!({
            "apiVersion": VERSION, "kind": &kind, "metadata": &metadata, "rules": rules,
        });
        let binding = json!({
            "apiVersion": VERSION, "kind": format!("{kind}Binding"), "metadata": metadata,
            "roleRef": {"apiGroup": GROUP, "kind": kind, "name": &name},
            "subjects": [{"kind": "ServiceAccount", "namespace": &account.namespace, "name": &account.name}],
        });
        [role, binding]
    };
    access.rules.iter().flat_map(role_and_binding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_gets_a_role_and_its_binding() {
        let text = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n---\n{apiVersion: v1, kind: Namespace, metadata: {name: team}}\n";
        let manifests = manifest::parse(text, Some("shop")).unwrap();
        let access = Access::least(&manifests, Some("shop"), false);
        let account = "brokkr-system/brokkr".parse().unwrap();
        let documents = documents(&access, "ci:shop", &account);
        let kinds: Vec<_> = documents.iter().map(|document| &document["kind"]).collect();
        assert_eq!(
            kinds,
            ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]
        );
        assert_eq!(
            documents[2]["metadata"],
            json!({"name": "brokkr:ci:shop", "namespace": "shop"})
        );
        let rule = json!({"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["a"], "verbs": ["get", "patch", "delete"]});
        assert_eq!(documents[2]["rules"][0], rule);
        assert_eq!(documents[3]["roleRef"]["kind"], "Role");
        let subject =
            json!({"kind": "ServiceAccount", "namespace": "brokkr-system", "name": "brokkr"});
        assert_eq!(documents[3]["subjects"], json!([subject]));
    }

    #[test]
    fn an_account_has_a_namespace() {
        for wrong in ["", "brokkr", "/brokkr", "a/", "A/b"] {
            assert!(wrong.parse::<Account>().is_err(), "{wrong}");
        }
    }
}
