//! A snapshot on its way into the store: read, hashed and compressed before it stands in the queue.

use std::collections::HashSet;
use std::sync::Arc;

use brokkr_core::manifest::{self, MAX_BYTES};
use brokkr_core::{Digest, KeptKind, ObjectKey};
use tokio::sync::Semaphore;

use crate::error::{Error, Result};

/// Level 3 halves what level 1 leaves and costs a millisecond a megabyte.
const COMPRESSION: i32 = 3;

/// A snapshot that was found good, for one default namespace.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) default_namespace: Option<String>,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) objects: Vec<ObjectKey>,
    pub(crate) compressed: Vec<u8>,
}

/// Reads manifests, off the threads that serve polls, and no more texts at once than there are cores: a
/// large one takes seconds and many times its size in memory.
pub(crate) async fn prepare(
    manifests: Arc<str>,
    default_namespace: Option<String>,
    slots: &Semaphore,
) -> Result<Snapshot> {
    if manifests.len() > MAX_BYTES {
        return Err(Error::TooLarge(format!(
            "the manifests have {} bytes, more than the {MAX_BYTES} that a stack may have: split the stack",
            manifests.len()
        )));
    }
    let _slot = slots.acquire().await.map_err(Error::internal)?;
    tokio::task::spawn_blocking(move || read(&manifests, default_namespace))
        .await
        .map_err(Error::internal)?
}

fn read(manifests: &str, default_namespace: Option<String>) -> Result<Snapshot> {
    let namespace = default_namespace.as_deref();
    let objects = manifest::parse(manifests, namespace)?
        .iter()
        .map(|manifest| manifest.key(namespace))
        .collect();
    Ok(Snapshot {
        digest: Digest::of(namespace, manifests),
        size: manifests.len() as u64,
        objects,
        compressed: zstd::bulk::compress(manifests.as_bytes(), COMPRESSION)
            .map_err(Error::internal)?,
        default_namespace,
    })
}

/// The text of a content as it lies in the database, if it is still what its digest says.
pub(crate) fn restore(
    compressed: &[u8],
    digest: &Digest,
    default_namespace: Option<&str>,
) -> Result<String> {
    let bytes = zstd::bulk::decompress(compressed, MAX_BYTES).map_err(Error::internal)?;
    let text = String::from_utf8(bytes).map_err(Error::internal)?;
    if Digest::of(default_namespace, &text) != *digest {
        return Err(Error::internal(anyhow::anyhow!(
            "a content does not hash to its digest: the database is damaged"
        )));
    }
    Ok(text)
}

/// The objects of kept kinds that agents may delete where a new head no longer has them: those that were
/// approved before, and those that this publish drops and approves, less what is there again. They travel
/// with the head, so that an agent that skips versions knows them all.
pub(crate) fn approved_losses(
    approved_before: &[ObjectKey],
    before: &[ObjectKey],
    now: &[ObjectKey],
    allow_delete: &[KeptKind],
) -> Vec<ObjectKey> {
    let now: HashSet<_> = now.iter().collect();
    let approves = |key: &&ObjectKey| {
        key.kept_kind()
            .is_some_and(|kind| allow_delete.contains(&kind))
    };
    let dropped = before.iter().filter(approves);
    let mut losses: Vec<_> = approved_before
        .iter()
        .chain(dropped)
        .filter(|key| !now.contains(key))
        .cloned()
        .collect();
    losses.sort();
    losses.dedup();
    losses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: &str, name: &str) -> ObjectKey {
        ObjectKey {
            group: String::new(),
            kind: kind.to_owned(),
            namespace: None,
            name: name.to_owned(),
        }
    }

    #[test]
    fn losses_are_approved_by_kind_and_end_when_the_object_is_back() {
        let (team, shop, data) = (
            key("Namespace", "team"),
            key("Namespace", "shop"),
            key("PersistentVolumeClaim", "data"),
        );
        let config = key("ConfigMap", "config");
        let before = [team.clone(), data.clone(), config.clone()];
        let approved = approved_losses(
            std::slice::from_ref(&shop),
            &before,
            &[],
            &[KeptKind::Namespace],
        );
        assert_eq!(approved, [shop.clone(), team.clone()]);
        assert_eq!(
            approved_losses(&approved, &[], std::slice::from_ref(&team), &[]),
            [shop]
        );
        assert_eq!(
            approved_losses(&[], &before, &[team], &[KeptKind::Namespace]),
            []
        );
    }

    #[test]
    fn a_damaged_content_is_noticed() {
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
        let snapshot = read(text, None).expect("a snapshot");
        let restored = restore(&snapshot.compressed, &snapshot.digest, None);
        assert_eq!(restored.ok().as_deref(), Some(text));
        let other = Digest::of(Some("b"), text);
        assert!(restore(&snapshot.compressed, &other, None).is_err());
        assert!(restore(&snapshot.compressed[..10], &snapshot.digest, None).is_err());
    }
}
