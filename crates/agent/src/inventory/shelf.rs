//! Where inventories lie: one ConfigMap a stack, the head, which holds the document if it is small and
//! names its chunks if it is not.
//!
//! Chunks are named by the document's digest and never change. The head is replaced last, in one write,
//! so that a crash leaves the old document or the new one, and at worst chunks that nobody names.

use std::collections::BTreeMap;

use brokkr_core::StackId;
use brokkr_core::failpoint::Point;
use brokkr_core::plan::{Fingerprint, Memory};
use http::Method;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::records::{LABEL, Shelf};
use super::{Inventory, document};
use crate::Error;

/// A ConfigMap holds 1 MiB; this leaves room for base64 in requests.
const CHUNK: usize = 512 * 1024;
/// An agent that is to die between chunks has some of a small document too.
const SMALL_CHUNK: usize = 256;
const DOCUMENT: &str = "inventory";
const DIGEST: &str = "digest";
const CHUNKS: &str = "chunks";

/// What the cluster holds of an inventory.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    resource_version: String,
    digest: Option<Fingerprint>,
    chunks: usize,
}

impl Shelf {
    /// Reads an inventory; none if there is no head. One that is damaged is lost, not an error.
    pub(super) async fn read(&self, stack: StackId) -> Result<Option<Inventory>, Error> {
        let Some(head) = self.get(&head_name(stack)).await? else {
            return Ok(None);
        };
        let stored = Stored {
            resource_version: head.metadata.resource_version.clone().unwrap_or_default(),
            digest: field(&head, DIGEST),
            chunks: field(&head, CHUNKS).unwrap_or(0),
        };
        let bytes = self.bytes(stack, &head, &stored).await?;
        let is_whole = |bytes: &Vec<u8>| Some(Fingerprint::of(bytes)) == stored.digest;
        let inventory = match bytes.filter(is_whole) {
            Some(bytes) => document::read(stack, &bytes)?,
            None => None,
        };
        let mut inventory = inventory.unwrap_or_else(|| Inventory::new(stack, Memory::Lost));
        inventory.stored = Some(stored);
        Ok(Some(inventory))
    }

    async fn bytes(
        &self,
        stack: StackId,
        head: &ConfigMap,
        stored: &Stored,
    ) -> Result<Option<Vec<u8>>, Error> {
        let (Some(digest), false) = (stored.digest, stored.chunks == 0) else {
            return Ok(document_of(head));
        };
        let mut bytes = Vec::new();
        for index in 0..stored.chunks {
            let chunk = self.get(&chunk_name(stack, digest, index)).await?;
            let Some(chunk) = chunk.as_ref().and_then(document_of) else {
                return Ok(None);
            };
            bytes.extend(chunk);
        }
        Ok(Some(bytes))
    }

    /// Writes an inventory, unless it is there already.
    pub(super) async fn write(&self, inventory: &mut Inventory) -> Result<(), Error> {
        let bytes = document::write(inventory)?;
        let digest = Fingerprint::of(&bytes);
        let before = inventory.stored.clone();
        if before
            .as_ref()
            .is_some_and(|stored| stored.digest == Some(digest))
        {
            return Ok(());
        }
        let stack = inventory.stack;
        let mut head = self.config_map(stack, head_name(stack));
        let chunks = if bytes.len() <= chunk_size() {
            head.binary_data = Some(holding(&bytes));
            0
        } else {
            self.write_chunks(stack, digest, &bytes).await?
        };
        head.data = Some(BTreeMap::from([
            (DIGEST.to_owned(), digest.to_string()),
            (CHUNKS.to_owned(), chunks.to_string()),
        ]));
        head.metadata.resource_version = before.as_ref().map(|s| s.resource_version.clone());
        Point::InventoryWriting.reached();
        let resource_version = self.put(head).await?;
        Point::InventoryWritten.reached();
        inventory.stored = Some(Stored {
            resource_version,
            digest: Some(digest),
            chunks,
        });
        if chunks + before.map_or(0, |stored| stored.chunks) > 0 {
            self.sweep(stack, Some(digest)).await;
        }
        Ok(())
    }

    async fn write_chunks(
        &self,
        stack: StackId,
        digest: Fingerprint,
        bytes: &[u8],
    ) -> Result<usize, Error> {
        let mut count = 0;
        for chunk in bytes.chunks(chunk_size()) {
            let mut config_map = self.config_map(stack, chunk_name(stack, digest, count));
            config_map.binary_data = Some(holding(chunk));
            match self.post(&config_map).await {
                // The name says what is in it.
                Err(error) if !error.is_conflict() => return Err(error),
                _ => count += 1,
            }
            Point::ChunkWritten.reached();
        }
        Ok(count)
    }

    /// Deletes the chunks of other documents; what cannot be deleted is swept next time.
    async fn sweep(&self, stack: StackId, keep: Option<Fingerprint>) {
        let kept = keep.map(|digest| chunk_prefix(stack, digest));
        let is_kept = |name: &String| kept.as_ref().is_some_and(|prefix| name.starts_with(prefix));
        let swept: Result<(), Error> = async {
            let names = self.names_of(stack).await?;
            for name in names.iter().filter(|name| !is_kept(name)) {
                if *name != head_name(stack) {
                    self.delete(name).await?;
                    Point::ChunkSwept.reached();
                }
            }
            Ok(())
        }
        .await;
        if let Err(error) = swept {
            tracing::debug!(%stack, %error, "old parts of an inventory stay for now");
        }
    }

    /// Deletes all that there is of a stack's inventory, the head first: without it, chunks mean nothing.
    pub(super) async fn discard(&self, stack: StackId) -> Result<(), Error> {
        self.delete(&head_name(stack)).await?;
        Point::HeadDiscarded.reached();
        self.sweep(stack, None).await;
        Ok(())
    }

    fn config_map(&self, stack: StackId, name: String) -> ConfigMap {
        ConfigMap {
            metadata: ObjectMeta {
                name: Some(name),
                namespace: Some(self.namespace.clone()),
                labels: Some(BTreeMap::from([(LABEL.to_owned(), stack.to_string())])),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        }
    }

    /// Creates or replaces; a replaced one must be the one that was read last. One that somebody deleted
    /// meanwhile is made again: what is to be written is the whole truth.
    async fn put(&self, mut config_map: ConfigMap) -> Result<String, Error> {
        if config_map.metadata.resource_version.is_some() {
            match self.send(Method::PUT, &config_map).await {
                Err(error) if error.is_not_found() => config_map.metadata.resource_version = None,
                answer => return answer,
            }
        }
        self.post(&config_map).await
    }
}

fn chunk_size() -> usize {
    if Point::ChunkWritten.is_meant() || Point::ChunkSwept.is_meant() {
        SMALL_CHUNK
    } else {
        CHUNK
    }
}

fn head_name(stack: StackId) -> String {
    format!("brokkr-inventory-{stack}")
}

fn chunk_prefix(stack: StackId, digest: Fingerprint) -> String {
    format!("{}-{digest}-", head_name(stack))
}

fn chunk_name(stack: StackId, digest: Fingerprint, index: usize) -> String {
    format!("{}{index}", chunk_prefix(stack, digest))
}

fn holding(bytes: &[u8]) -> BTreeMap<String, ByteString> {
    BTreeMap::from([(DOCUMENT.to_owned(), ByteString(bytes.to_vec()))])
}

fn document_of(config_map: &ConfigMap) -> Option<Vec<u8>> {
    let data = config_map.binary_data.as_ref()?;
    Some(data.get(DOCUMENT)?.0.clone())
}

fn field<T: std::str::FromStr>(config_map: &ConfigMap, name: &str) -> Option<T> {
    config_map.data.as_ref()?.get(name)?.parse().ok()
}
