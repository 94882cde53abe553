use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use brokkr_agent::reconcile::{Attempt, Ending, Reconciler, Stack, Withheld};
use brokkr_agent::{Environment, Settings};
use brokkr_core::ambient::{Ambient, System};
use brokkr_core::object::KeptKind;
use brokkr_core::wire::{
    Approval, Health, LivePlan, ObjectResult, OnRemove, TargetRemoval, TargetStack,
};
use brokkr_core::{DeploymentObjectId, Digest, ObjectKey, ServiceAccount, StackId};
use k8s_openapi::api::core::v1::{self as v1, ConfigMap, Namespace};
use kube::api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Api, Config};
use serde_json::json;

/// An agent's reconcile layer with a namespace for its stack.
pub struct Bed {
    pub client: kube::Client,
    pub reconciler: Arc<Reconciler>,
    pub stack: Stack,
    pub namespace: String,
    records: String,
    sequence: u64,
}

impl Bed {
    /// A bed whose stack has an empty namespace.
    pub async fn new() -> Self {
        let client = brokkr_agent::connect(Some(&kubeconfig()), None)
            .await
            .expect("a cluster");
        let id = StackId::generate(&System);
        let unique = &id.to_string()[24..];
        let bed = Self {
            reconciler: reconciler(&client, settings(&format!("records-{unique}"))).await,
            stack: Stack::new(id),
            namespace: format!("bed-{unique}"),
            records: format!("records-{unique}"),
            sequence: 0,
            client,
        };
        let namespace: Namespace =
            serde_json::from_value(json!({"metadata": {"name": bed.namespace}})).expect("JSON");
        let namespaces: Api<Namespace> = Api::all(bed.client.clone());
        namespaces
            .create(&PostParams::default(), &namespace)
            .await
            .expect("a namespace");
        bed
    }

    /// Another stack of the same agent, in the same namespace.
    pub fn neighbour(&self) -> Self {
        Self {
            client: self.client.clone(),
            reconciler: self.reconciler.clone(),
            stack: Stack::new(StackId::generate(&System)),
            namespace: self.namespace.clone(),
            records: self.records.clone(),
            sequence: 0,
        }
    }

    /// What a restart leaves: nothing in memory.
    pub async fn restart(&mut self) {
        self.reconciler = reconciler(&self.client, settings(&self.records)).await;
        self.stack = Stack::new(self.stack.id());
    }

    /// An agent whose account is this user's.
    pub async fn become_user(&mut self, user: &str) {
        self.reconciler = reconciler(&self.client_of(user).await, settings(&self.records)).await;
    }

    /// An agent that runs as a service account of its own, which may no more than it is let do.
    pub async fn become_account(&mut self, account: &ServiceAccount) {
        let accounts: Api<v1::ServiceAccount> =
            Api::namespaced(self.client.clone(), account.namespace());
        let how = PostParams::default();
        let made = serde_json::from_value(json!({"metadata": {"name": account.name()}}));
        let made = made.expect("an account");
        accounts.create(&how, &made).await.expect("an account");
        let asked = serde_json::from_value(json!({"spec": {"audiences": []}})).expect("JSON");
        let answer = accounts.create_token_request(account.name(), &how, &asked);
        let status = answer.await.expect("a token").status;
        let token = status.expect("a token").token;
        let mut config = configuration().await;
        config.auth_info = AuthInfo {
            token: Some(token.into()),
            ..AuthInfo::default()
        };
        let client = kube::Client::try_from(config).expect("a client");
        self.reconciler = reconciler(&client, settings(&self.records)).await;
    }

    /// What a content would change.
    pub async fn rehearse(&self, entry: &TargetStack, text: &str) -> LivePlan {
        let rehearsals = self.looks_of(&self.client);
        let plan = rehearsals.rehearse(entry, &Arc::from(text)).await;
        plan.expect("a plan")
    }

    /// What only looks, with the rights of this client.
    pub fn looks_of(&self, client: &kube::Client) -> Reconciler {
        let ambient: Arc<dyn Ambient> = Arc::new(System);
        Reconciler::rehearsing(client.clone(), &settings(&self.records), ambient)
    }

    /// A client with the rights of this user.
    pub async fn client_of(&self, user: &str) -> kube::Client {
        let mut config = configuration().await;
        config.auth_info.impersonate = Some(user.to_owned());
        kube::Client::try_from(config).expect("a client")
    }

    /// An agent that leaves what this manager sets to it.
    pub async fn yield_to(&mut self, manager: &str) {
        let settings = Settings {
            yield_to: vec![manager.to_owned()],
            ..settings(&self.records)
        };
        self.reconciler = reconciler(&self.client, settings).await;
    }

    /// An agent whose environment has these rules.
    pub async fn live_by(&mut self, environment: Environment) {
        let settings = Settings {
            environment: Arc::new(environment),
            ..settings(&self.records)
        };
        self.reconciler = reconciler(&self.client, settings).await;
    }

    /// A new version of the stack.
    pub fn entry(&mut self, text: &str) -> TargetStack {
        self.sequence += 1;
        TargetStack {
            stack: self.stack.id(),
            name: "test".parse().expect("a name"),
            deployment_object: DeploymentObjectId::generate(&System),
            sequence: self.sequence,
            digest: Digest::of(Some(&self.namespace), text),
            size: text.len() as u64,
            default_namespace: Some(self.namespace.clone()),
            create_namespace: false,
            allow_delete: Vec::new(),
            requires: Vec::new(),
            approved_losses: Vec::new(),
            released: Vec::new(),
            adopt: brokkr_core::wire::Adopt::Never,
            drift: brokkr_core::wire::Drift::Repair,
            paused: false,
            ignores_windows: false,
            service_account: None,
        }
    }

    pub fn removal(&self, policy: OnRemove, allow_delete: &[KeptKind]) -> TargetRemoval {
        TargetRemoval {
            stack: self.stack.id(),
            name: "test".parse().expect("a name"),
            policy,
            allow_delete: allow_delete.to_vec(),
            revision: 1,
            approved: None,
            service_account: None,
            requires: Vec::new(),
        }
    }

    /// One attempt at a new version.
    pub async fn apply(&mut self, text: &str) -> Attempt {
        let entry = self.entry(text);
        self.apply_entry(&entry, text).await
    }

    pub async fn apply_entry(&mut self, entry: &TargetStack, text: &str) -> Attempt {
        self.reconciler
            .apply(&mut self.stack, entry, &Arc::from(text))
            .await
    }

    /// Attempts until it is done, as the agent does, and approves what is held.
    pub async fn settle(&mut self, text: &str) -> Attempt {
        let mut entry = self.entry(text);
        for _ in 0..100 {
            let attempt = self.apply_entry(&entry, text).await;
            if attempt.ending == Ending::Done {
                return attempt;
            }
            if let Withheld::Loss(loss) = attempt.withheld {
                entry.approved_losses.extend(loss.objects);
                continue;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("never done: {:?}", self.apply_entry(&entry, text).await);
    }

    pub async fn remove(&mut self, removal: &TargetRemoval) -> Attempt {
        for _ in 0..100 {
            let attempt = self.reconciler.remove(&mut self.stack, removal).await;
            if !matches!(attempt.ending, Ending::Waiting(_)) {
                return attempt;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("it never went");
    }

    /// Waits for the stack's objects to be as they should be.
    pub async fn healthy(&self) {
        for _ in 0..150 {
            let readiness = self.reconciler.observe(&self.stack).await.expect("a look");
            if readiness
                .as_ref()
                .is_some_and(|r| r.health == Health::Current)
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("{:?}", self.reconciler.observe(&self.stack).await);
    }

    pub fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub fn records_namespace(&self) -> &str {
        &self.records
    }

    pub fn records(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), &self.records)
    }

    /// The names of the namespace's `ConfigMap`s, without the one that Kubernetes puts everywhere.
    pub async fn names(&self) -> Vec<String> {
        let all = ListParams::default();
        let list = self.config_maps().list(&all).await.expect("a list");
        let names = list.items.into_iter();
        names
            .filter_map(|c| c.metadata.name)
            .filter(|name| name != "kube-root-ca.crt")
            .collect()
    }

    /// Somebody else's server-side apply.
    pub async fn stranger_applies(&self, name: &str, data: &str) -> ConfigMap {
        let body = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name}, "data": {"a": data},
        });
        let params = PatchParams::apply("stranger").force();
        self.config_maps()
            .patch(name, &params, &Patch::Apply(body))
            .await
            .expect("a patch")
    }

    pub fn dynamic(&self, api_version: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resource = ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        };
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }
}

fn kubeconfig() -> PathBuf {
    std::env::var_os("BROKKR_TEST_KUBECONFIG")
        .map(PathBuf::from)
        .expect("BROKKR_TEST_KUBECONFIG names a cluster: `make test` starts one")
}

async fn configuration() -> Config {
    let kubeconfig = Kubeconfig::read_from(kubeconfig()).expect("a kubeconfig");
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    config.expect("a configuration")
}

fn settings(records: &str) -> Settings {
    Settings {
        namespace: records.to_owned(),
        ..Settings::default()
    }
}

async fn reconciler(client: &kube::Client, settings: Settings) -> Arc<Reconciler> {
    let ambient: Arc<dyn Ambient> = Arc::new(System);
    let reconciler = Reconciler::new(client.clone(), &settings, ambient);
    reconciler.prepare().await.expect("records");
    Arc::new(reconciler)
}

pub fn config_map(name: &str, data: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: '{data}'}}\n"
    )
}

/// The results of an attempt, by name of the object.
pub fn results(attempt: &Attempt) -> Vec<(String, ObjectResult)> {
    let objects = attempt.objects.iter();
    objects.map(|o| (o.object.name.clone(), o.result)).collect()
}

pub fn reason_of(attempt: &Attempt, name: &str) -> String {
    let object = attempt.objects.iter().find(|o| o.object.name == name);
    object.and_then(|o| o.reason.clone()).unwrap_or_default()
}

/// Somebody's yes to a removal.
pub fn yes() -> Approval {
    Approval {
        by: "admin".to_owned(),
        at: System.now(),
        plan: None,
    }
}

pub fn key(group: &str, kind: &str, name: &str) -> ObjectKey {
    ObjectKey {
        group: group.to_owned(),
        kind: kind.to_owned(),
        namespace: None,
        name: name.to_owned(),
    }
}
