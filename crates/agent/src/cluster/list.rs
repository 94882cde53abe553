use brokkr_core::plan::STACK_LABEL;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::objects::{Partial, read};
use super::resource::escape;
use super::{Cluster, Resource};
use crate::Error;

pub(super) const METADATA_LIST: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
const WHOLE: &str = "application/json";
pub(super) const PAGE: usize = 500;
/// Of metadata alone, so 2 MB.
pub(super) const LONG_PAGE: usize = 2_000;

/// A page of a list.
#[derive(Deserialize)]
pub(super) struct List<T> {
    pub(super) metadata: ListMetadata,
    /// `null` where there is nothing to list.
    pub(super) items: Option<Vec<T>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListMetadata {
    #[serde(default)]
    resource_version: String,
    #[serde(rename = "continue", default)]
    pub(super) next: String,
}

/// A part of a list.
pub(crate) struct Part {
    pub objects: Vec<Value>,
    /// Whether there are no more.
    pub are_all: bool,
}

impl Part {
    /// Of a list that has nothing.
    pub(crate) const NOTHING: Self = Self {
        objects: Vec::new(),
        are_all: true,
    };
}

impl Cluster {
    /// Reads the whole objects of a kind that a label selector selects, in one namespace or in all.
    pub(crate) async fn selected(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        selector: &str,
    ) -> Result<Vec<Value>, Error> {
        self.list(resource, namespace, selector, WHOLE).await
    }

    /// Reads the metadata of the objects of a kind in a namespace that a label selector selects.
    pub(crate) async fn selected_metadata(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        selector: &str,
    ) -> Result<Vec<Value>, Error> {
        self.list(resource, namespace, selector, METADATA_LIST)
            .await
    }

    /// Reads the first objects of a kind in a namespace that a label selector selects, and no more than this many.
    pub(crate) async fn some_selected(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        selector: &str,
        most: usize,
    ) -> Result<Part, Error> {
        let path = path(resource, namespace, selector, most, "");
        let page: List<Value> = read(&self.ask(&path, WHOLE).await?)?;
        Ok(Part {
            objects: page.items.unwrap_or_default(),
            are_all: page.metadata.next.is_empty(),
        })
    }

    /// Reads the objects of a kind in a namespace page by page, and no more than this many pages, and keeps those that are
    /// wanted.
    pub(crate) async fn some_wanted(
        &self,
        resource: &Resource,
        namespace: &str,
        pages: usize,
        is_wanted: impl Fn(&Value) -> bool,
    ) -> Result<Part, Error> {
        let mut objects = Vec::new();
        let mut next = String::new();
        for _ in 0..pages {
            let path = path(resource, Some(namespace), "", PAGE, &next);
            let page: List<Value> = read(&self.ask(&path, WHOLE).await?)?;
            objects.extend(page.items.into_iter().flatten().filter(&is_wanted));
            next = page.metadata.next;
            if next.is_empty() {
                break;
            }
        }
        Ok(Part {
            objects,
            are_all: next.is_empty(),
        })
    }

    /// The names of the objects of a kind in a namespace that carry a label.
    pub(crate) async fn names(
        &self,
        resource: &Resource,
        namespace: &str,
        (label, value): (&str, &str),
    ) -> Result<Vec<String>, Error> {
        let selector = format!("{label}={value}");
        let list: Vec<Partial> = self
            .list(resource, Some(namespace), &selector, METADATA_LIST)
            .await?;
        Ok(list.iter().map(|item| item.name().to_owned()).collect())
    }

    /// The metadata of all objects of a collection that carry a stack's label, and the version at which they were so.
    pub(super) async fn list_labelled(
        &self,
        collection: &str,
    ) -> Result<(Vec<Partial>, String), Error> {
        let mut items = Vec::new();
        let mut next = String::new();
        loop {
            let selector = escape(STACK_LABEL);
            let path =
                format!("{collection}?limit={LONG_PAGE}&continue={next}&labelSelector={selector}");
            let page: List<Partial> = read(&self.ask(&path, METADATA_LIST).await?)?;
            items.extend(page.items.into_iter().flatten());
            next = page.metadata.next;
            if next.is_empty() {
                return Ok((items, page.metadata.resource_version));
            }
        }
    }

    async fn list<T: DeserializeOwned>(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        selector: &str,
        accept: &str,
    ) -> Result<Vec<T>, Error> {
        let mut items = Vec::new();
        let mut next = String::new();
        loop {
            let path = path(resource, namespace, selector, PAGE, &next);
            let page: List<T> = read(&self.ask(&path, accept).await?)?;
            items.extend(page.items.into_iter().flatten());
            next = page.metadata.next;
            if next.is_empty() {
                return Ok(items);
            }
        }
    }
}

fn path(
    resource: &Resource,
    namespace: Option<&str>,
    selector: &str,
    limit: usize,
    next: &str,
) -> String {
    let collection = resource.collection(namespace);
    let selector = escape(selector);
    format!("{collection}?limit={limit}&continue={next}&labelSelector={selector}")
}
