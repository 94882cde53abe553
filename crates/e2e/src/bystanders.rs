//! Objects that stand around those of a story and are no business of the product: the same names in another namespace,
//! copied labels, our field manager's name. When the story ends, they have to be what they were, byte by byte.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use brokkr_core::id::StackId;
use brokkr_core::manifest::{self, Manifest};
use kube::ResourceExt;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::{Cluster, manifests};

/// What their names begin with where they stand beside a stack's objects.
pub(crate) const PREFIX: &str = "bystander-";
/// Kinds that no controller writes to.
const INERT: [&str; 5] = [
    "ConfigMap",
    "Secret",
    "Role",
    "RoleBinding",
    "ResourceQuota",
];
/// So many names of a stack stand elsewhere too.
const NAMES: usize = 5;
const STACK_LABEL: &str = "brokkr.io/stack";
const OUR_MANAGER: &str = "brokkr";

/// The bystanders of one story.
#[derive(Default)]
pub struct Bystanders(Mutex<State>);

#[derive(Default)]
struct State {
    /// The stacks that have some elsewhere, and beside their own objects.
    elsewhere: BTreeSet<StackId>,
    beside: BTreeSet<StackId>,
    seen: Vec<Bystander>,
}

struct Bystander {
    api: Api<DynamicObject>,
    before: DynamicObject,
}

impl Bystanders {
    /// Puts objects of the same names into another namespace, with the stack's label and our field manager's name.
    pub(crate) async fn stand_elsewhere(
        &self,
        cluster: &Cluster,
        (stack, namespace): (StackId, &str),
        snapshot: &str,
    ) -> Result<()> {
        if !self.with(|state| state.elsewhere.insert(stack)) {
            return Ok(());
        }
        let aside = format!("{namespace}-aside");
        cluster.create_namespace(&aside).await?;
        // What is no snapshot is the broker's to refuse.
        let objects = manifest::parse(snapshot, Some(namespace)).unwrap_or_default();
        for mut manifest in objects.into_iter().filter(is_inert).take(NAMES) {
            manifest.namespace = None;
            let metadata = &mut manifest.object["metadata"];
            metadata["namespace"] = aside.as_str().into();
            self.put(cluster, &aside, stack, &manifest).await?;
        }
        Ok(())
    }

    /// Puts objects with other names, but all marks of the stack's, beside the stack's own.
    pub(crate) async fn stand_beside(
        &self,
        cluster: &Cluster,
        (stack, namespace): (StackId, &str),
    ) -> Result<()> {
        if !self.with(|state| state.beside.insert(stack)) {
            return Ok(());
        }
        let text = manifests::config_map(&format!("{PREFIX}marked"), "1");
        for manifest in manifest::parse(&text, None)? {
            self.put(cluster, namespace, stack, &manifest).await?;
        }
        // As controllers do that copy the labels of what they serve.
        let api = Api::namespaced_with(cluster.client(), namespace, &config_maps());
        let mut object = DynamicObject::new(&format!("{PREFIX}copied"), &config_maps());
        object.labels_mut().extend([
            (STACK_LABEL.to_owned(), stack.to_string()),
            ("app".to_owned(), "web".to_owned()),
        ]);
        let made = api.create(&PostParams::default(), &object).await?;
        self.keep(api, made);
        Ok(())
    }

    async fn put(
        &self,
        cluster: &Cluster,
        namespace: &str,
        stack: StackId,
        manifest: &Manifest,
    ) -> Result<()> {
        let api = cluster.api(manifest, namespace).await?;
        let api = api.context("a kind that is served")?;
        let mut object: Value = manifest.object.clone().into();
        if !object["metadata"]["labels"].is_object() {
            object["metadata"]["labels"] = json!({});
        }
        object["metadata"]["labels"][STACK_LABEL] = stack.to_string().into();
        let (params, patch) = (PatchParams::apply(OUR_MANAGER), Patch::Apply(object));
        let made = api.patch(&manifest.name, &params, &patch).await?;
        self.keep(api, made);
        Ok(())
    }

    fn keep(&self, api: Api<DynamicObject>, before: DynamicObject) {
        self.with(|state| state.seen.push(Bystander { api, before }));
    }

    /// Fails if anything about any of them is different.
    pub async fn are_unchanged(&self) -> Result<()> {
        let seen = self.with(|state| std::mem::take(&mut state.seen));
        for Bystander { api, before } in seen {
            let (name, namespace) = (before.name_any(), before.namespace().unwrap_or_default());
            let now = api.get_opt(&name).await?;
            let now = now.with_context(|| format!("the bystander {namespace}/{name} is gone"))?;
            let [before, now] = [
                serde_json::to_string_pretty(&before)?,
                serde_json::to_string_pretty(&now)?,
            ];
            ensure!(
                before == now,
                "the bystander {namespace}/{name} was touched; it was\n{before}\nand is\n{now}"
            );
        }
        Ok(())
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn is_inert(manifest: &Manifest) -> bool {
    INERT.contains(&manifest.kind.as_str())
}

fn config_maps() -> kube::api::ApiResource {
    kube::api::ApiResource::erase::<k8s_openapi::api::core::v1::ConfigMap>(&())
}
