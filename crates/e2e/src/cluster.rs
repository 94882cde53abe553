use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use brokkr_core::ObjectKey;
use brokkr_core::manifest::{self, Manifest};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{
    Api, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::discovery::{Scope, pinned_kind};
use kube::{Client, Config, ResourceExt};
use serde_json::json;

use crate::{bystanders, manifests, why_not_ready};

/// What agents call their lease.
const LEASE: &str = "brokkr-agent";
/// What agents call their root record.
const ROOT: &str = "brokkr-agent";

/// The tests' own view of the cluster, past the product.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    kubeconfig: PathBuf,
}

/// What identifies one state of one object: both change if it is replaced, the second if it is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Version {
    /// Which object it is.
    pub uid: String,
    /// Which state of it.
    pub resource_version: String,
}

impl Cluster {
    /// The cluster that the test bed names; the user's own configuration is never read.
    pub async fn connect() -> Result<Self> {
        let kubeconfig = std::env::var_os("BROKKR_TEST_KUBECONFIG")
            .context("BROKKR_TEST_KUBECONFIG is not set: make test, or scripts/testbed CMD")?;
        let kubeconfig = PathBuf::from(kubeconfig);
        let options = KubeConfigOptions::default();
        let file = Kubeconfig::read_from(&kubeconfig)?;
        let config = Config::from_custom_kubeconfig(file, &options).await?;
        Ok(Self {
            client: Client::try_from(config)?,
            kubeconfig,
        })
    }

    /// The file that an agent gets.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The connection.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Takes an agent's lease away, if there is one.
    pub async fn free_lease(&self, namespace: &str) -> Result<()> {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), namespace);
        match leases.delete(LEASE, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            deleted => Ok(deleted.map(drop)?),
        }
    }

    /// Who holds an agent's lease.
    pub async fn holder(&self, namespace: &str) -> Result<Option<String>> {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), namespace);
        let spec = leases.get(LEASE).await?.spec;
        Ok(spec.and_then(|spec| spec.holder_identity))
    }

    /// Those objects of a snapshot that exist.
    pub async fn find(
        &self,
        snapshot: &str,
        namespace: &str,
    ) -> Result<BTreeMap<ObjectKey, DynamicObject>> {
        let mut found = BTreeMap::new();
        for manifest in manifest::parse(snapshot, Some(namespace))? {
            let Some(api) = self.api(&manifest, namespace).await? else {
                continue;
            };
            if let Some(object) = api.get_opt(&manifest.name).await? {
                found.insert(manifest.key(Some(namespace)), object);
            }
        }
        Ok(found)
    }

    /// The state of every object of a snapshot; fails unless all of them exist.
    pub async fn versions(
        &self,
        snapshot: &str,
        namespace: &str,
    ) -> Result<BTreeMap<ObjectKey, Version>> {
        let found = self.find(snapshot, namespace).await?;
        let wanted = manifest::parse(snapshot, Some(namespace))?;
        let wanted = wanted.iter().map(|manifest| manifest.key(Some(namespace)));
        let missing: Vec<_> = wanted.filter(|key| !found.contains_key(key)).collect();
        if !missing.is_empty() {
            bail!("not in the cluster: {missing:?}");
        }
        Ok(found
            .into_iter()
            .map(|(key, object)| (key, version(&object)))
            .collect())
    }

    /// Fails unless every object of a snapshot exists and every workload does its work.
    pub async fn all_ready(&self, snapshot: &str, namespace: &str) -> Result<()> {
        self.versions(snapshot, namespace).await?;
        for (key, object) in self.find(snapshot, namespace).await? {
            if let Some(reason) = why_not_ready(&object) {
                bail!("{key}: {reason}");
            }
        }
        Ok(())
    }

    /// The names of all `ConfigMaps` of a namespace that a person or the product made.
    pub async fn config_maps(&self, namespace: &str) -> Result<BTreeSet<String>> {
        let maps = Api::<ConfigMap>::namespaced(self.client(), namespace);
        let names = maps
            .list(&ListParams::default())
            .await?
            .into_iter()
            .map(|map| map.name_any());
        let is_somebodys =
            |name: &String| name != "kube-root-ca.crt" && !name.starts_with(bystanders::PREFIX);
        Ok(names.filter(is_somebodys).collect())
    }

    /// The stacks that an agent's root record lists.
    pub async fn listed_stacks(&self, namespace: &str) -> Result<Vec<String>> {
        let maps = Api::<ConfigMap>::namespaced(self.client(), namespace);
        let data = maps.get(ROOT).await?.data.unwrap_or_default();
        let record = data.get("record").context("a root record")?;
        let record: serde_json::Value = serde_json::from_str(record)?;
        Ok(serde_json::from_value(record["stacks"].clone())?)
    }

    /// The value of a [`manifests::config_map`]; fails if there is none.
    pub async fn value(&self, namespace: &str, name: &str) -> Result<String> {
        let maps = Api::<ConfigMap>::namespaced(self.client(), namespace);
        let mut data = maps.get(name).await?.data.unwrap_or_default();
        data.remove("value")
            .with_context(|| format!("{name} has no value"))
    }

    /// Makes the objects of a snapshot as somebody else than the product would.
    pub async fn create(&self, snapshot: &str, namespace: &str) -> Result<()> {
        for manifest in manifest::parse(snapshot, Some(namespace))? {
            let api = self
                .api(&manifest, namespace)
                .await?
                .context("a kind that is served")?;
            let object = serde_json::from_value(manifest.object.into())?;
            api.create(&PostParams::default(), &object).await?;
        }
        Ok(())
    }

    /// Makes a namespace.
    pub async fn create_namespace(&self, name: &str) -> Result<()> {
        self.create(&manifests::namespace(name), name).await
    }

    /// Deletes the objects of a snapshot.
    pub async fn delete(&self, snapshot: &str, namespace: &str) -> Result<()> {
        for manifest in manifest::parse(snapshot, Some(namespace))? {
            let api = self
                .api(&manifest, namespace)
                .await?
                .context("a kind that is served")?;
            api.delete(&manifest.name, &DeleteParams::default()).await?;
        }
        Ok(())
    }

    /// Takes the finalizers off the objects of a snapshot, as the controllers would that put them there.
    pub async fn finalize(&self, snapshot: &str, namespace: &str) -> Result<()> {
        let patch = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
        for manifest in manifest::parse(snapshot, Some(namespace))? {
            let api = self.api(&manifest, namespace).await?;
            let api = api.context("a kind that is served")?;
            let params = PatchParams::default();
            api.patch(&manifest.name, &params, &patch).await?;
        }
        Ok(())
    }

    /// Where objects of a manifest's kind are; none if the cluster does not serve the kind.
    pub(crate) async fn api(
        &self,
        manifest: &Manifest,
        default: &str,
    ) -> Result<Option<Api<DynamicObject>>> {
        let kind = GroupVersionKind::gvk(manifest.group(), manifest.version(), &manifest.kind);
        let Ok((resource, capabilities)) = pinned_kind(&self.client, &kind).await else {
            return Ok(None);
        };
        let namespace = manifest.namespace.as_deref().unwrap_or(default);
        Ok(Some(match capabilities.scope {
            Scope::Cluster => Api::all_with(self.client(), &resource),
            Scope::Namespaced => Api::namespaced_with(self.client(), namespace, &resource),
        }))
    }
}

fn version(object: &DynamicObject) -> Version {
    Version {
        uid: object.uid().unwrap_or_default(),
        resource_version: object.resource_version().unwrap_or_default(),
    }
}
