use anyhow::bail;
use brokkr_core::access::{Access, Rule, Shares};
use brokkr_core::name::Reference;
use brokkr_core::wire::RequestKind;
use brokkr_core::{ServiceAccount, manifest};
use clap::{Args, ValueEnum};
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
/// among them. Of a stack that acts as a service account, that one gets the roles, and the agent what it needs to act as it.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr agent rbac --stack checkout | kubectl apply -f -
  brokkr agent rbac --stack ci:shop --account deployers/shop
  brokkr agent rbac --stack checkout --requests describe,logs")]
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
    account: ServiceAccount,

    /// What the agent shall also be able to answer about the stack's pods; several may be given
    #[arg(long, value_name = "KIND", value_enum, value_delimiter = ',')]
    requests: Vec<Request>,

    #[command(flatten)]
    connection: Connection,
}

/// A kind of request that takes more rights.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Request {
    /// `brokkr describe`: events of Kubernetes
    Describe,
    /// `brokkr logs`: what containers write
    Logs,
}

impl Request {
    const fn kind(self) -> RequestKind {
        match self {
            Self::Describe => RequestKind::Describe,
            Self::Logs => RequestKind::Logs,
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
        let least = Access::least(&manifests, namespace, stack.options.create_namespace);
        let access = self.requests.iter().fold(least, |access, request| {
            access.answering(request.kind(), &manifests, namespace)
        });
        let name = Reference::of(stack.generator.as_ref(), &stack.name).to_string();
        let guessed = access.guessed.clone();
        let acts_as = stack.service_account();
        output::documents(&all_documents(access, &name, &self.account, acts_as))?;
        for kind in &guessed {
            say(&format!(
                "How a cluster calls {kind} is a guess, and so is that it has a namespace: compare with `kubectl api-resources`."
            ));
        }
        Ok(())
    }
}

/// The roles of the agent's account, and of the one that the stack acts as if it is another.
fn all_documents(
    access: Access,
    stack: &str,
    agent: &ServiceAccount,
    acts_as: Option<&ServiceAccount>,
) -> Vec<Value> {
    let name = format!("brokkr:{stack}");
    let Some(account) = acts_as else {
        return documents(&access, &name, agent);
    };
    let shares: Shares = access.shared_with(account);
    let mut all = documents(&shares.agent, &name, agent);
    let name = format!("{name}:account");
    all.extend(documents(&shares.account, &name, account));
    all
}

/// A role and its binding for each namespace, and for the whole cluster.
fn documents(access: &Access, name: &str, account: &ServiceAccount) -> Vec<Value> {
    let role_and_binding = |(namespace, rules): (&Option<String>, &Vec<Rule>)| {
        let prefix = if namespace.is_some() { "" } else { "Cluster" };
        let mut metadata = json!({"name": name});
        if let Some(namespace) = namespace {
            metadata["namespace"] = json!(namespace);
        }
        let kind = format!("{prefix}Role");
        let role = json!({
            "apiVersion": VERSION, "kind": &kind, "metadata": &metadata, "rules": rules,
        });
        let binding = json!({
            "apiVersion": VERSION, "kind": format!("{kind}Binding"), "metadata": metadata,
            "roleRef": {"apiGroup": GROUP, "kind": kind, "name": name},
            "subjects": [{"kind": "ServiceAccount", "namespace": account.namespace(), "name": account.name()}],
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
        let documents = all_documents(access, "ci:shop", &account, None);
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
    fn a_stack_that_acts_as_an_account_gives_the_agent_nothing_but_that() {
        let text = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n";
        let manifests = manifest::parse(text, Some("shop")).unwrap();
        let access = Access::least(&manifests, Some("shop"), false);
        let agent: ServiceAccount = "brokkr-system/brokkr".parse().unwrap();
        let account: ServiceAccount = "deployers/shop".parse().unwrap();
        let documents = all_documents(access, "ci:shop", &agent, Some(&account));
        let summary: Vec<_> = documents
            .iter()
            .map(|document| {
                let metadata = &document["metadata"];
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let subject = text(&document["subjects"][0]["name"]);
                [
                    text(&document["kind"]),
                    text(&metadata["namespace"]),
                    text(&metadata["name"]),
                    subject,
                ]
            })
            .collect();
        let expected = [
            ["Role", "deployers", "brokkr:ci:shop", ""],
            ["RoleBinding", "deployers", "brokkr:ci:shop", "brokkr"],
            ["Role", "shop", "brokkr:ci:shop", ""],
            ["RoleBinding", "shop", "brokkr:ci:shop", "brokkr"],
            ["Role", "shop", "brokkr:ci:shop:account", ""],
            ["RoleBinding", "shop", "brokkr:ci:shop:account", "shop"],
        ];
        assert_eq!(summary, expected);
        let impersonate = json!([{"apiGroups": [""], "resources": ["serviceaccounts"], "resourceNames": ["shop"], "verbs": ["impersonate"]}]);
        assert_eq!(documents[0]["rules"], impersonate);
    }
}
