//! A snapshot on its way into the store: read, hashed and compressed before it stands in the queue.

use std::collections::HashSet;
use std::sync::Arc;

use axum::body::Bytes;
use brokkr_core::manifest::{self, Cost, MAX_BYTES};
use brokkr_core::{Digest, KeptKind, ObjectKey};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Result};
use crate::memory::{Room, Taken};

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

impl Snapshot {
    /// About how many bytes it keeps in memory, with the text that it was read from.
    pub(crate) fn weight(&self) -> usize {
        const OBJECT: usize = 256;
        let text = usize::try_from(self.size).unwrap_or(MAX_BYTES);
        text + self.compressed.len() + self.objects.len() * OBJECT
    }
}

/// Reads manifests, off the threads that serve polls, once there is memory for it: a large text takes seconds and many times its size.
pub(crate) async fn prepare(
    manifests: Arc<str>,
    default_namespace: Option<String>,
    reading: &Reading,
) -> Result<Snapshot> {
    if manifests.len() > MAX_BYTES {
        return Err(Error::TooLarge(format!(
            "the manifests have {} bytes, more than the {MAX_BYTES} that a stack may have: split the stack",
            manifests.len()
        )));
    }
    let place = place(reading, Cost::of(&manifests)).await?;
    // Whoever hangs up meanwhile does not end the work.
    tokio::task::spawn_blocking(move || {
        let _place = place;
        read(&manifests, default_namespace)
    })
    .await
    .map_err(Error::internal)?
}

/// No cluster keeps an object larger than this, in bytes: etcd's `--max-request-bytes`, if nobody raised it.
const LARGEST_OBJECT: usize = 1536 * 1024;
/// So many texts are read at once: it is the processor's work.
const AT_ONCE: usize = 2;

/// Where texts are read.
pub(crate) struct Reading {
    /// For the texts, and what is made of them.
    pub(crate) room: Room,
    turns: Arc<Semaphore>,
}

impl Reading {
    pub(crate) fn new(room: Room) -> Self {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        Self { room, turns }
    }
}

/// A turn, and memory for it. What has room for nothing else reads one object of the size that clusters take, and one at a time.
async fn place(reading: &Reading, cost: Cost) -> Result<(OwnedSemaphorePermit, Taken)> {
    let room = &reading.room;
    if !room.fits(cost.bytes) && cost.document > LARGEST_OBJECT {
        return Err(Error::TooLarge(format!(
            "one document of the manifests has {} bytes, and this broker has not enough memory to read it: write its objects as documents of their own, separated by `---`, or give the broker more (--memory)",
            cost.document
        )));
    }
    let turn = Arc::clone(&reading.turns).acquire_owned().await;
    let turn = turn.map_err(Error::internal)?;
    let taken = room.wait(cost.bytes).await;
    let taken = taken.ok_or_else(|| Error::internal(anyhow::anyhow!("the broker ends")))?;
    Ok((turn, taken))
}

fn read(manifests: &str, default_namespace: Option<String>) -> Result<Snapshot> {
    let namespace = default_namespace.as_deref();
    let objects = manifest::keys(manifests, namespace)?;
    Ok(Snapshot {
        digest: Digest::of(namespace, manifests),
        size: manifests.len() as u64,
        objects,
        compressed: zstd::bulk::compress(manifests.as_bytes(), COMPRESSION)
            .map_err(Error::internal)?,
        default_namespace,
    })
}

/// How many bytes the text of a content has, as the content itself says.
pub(crate) fn size(compressed: &[u8]) -> usize {
    let said = zstd::zstd_safe::get_frame_content_size(compressed);
    let said = said.ok().flatten();
    said.map_or(MAX_BYTES, |size| usize::try_from(size).unwrap_or(MAX_BYTES))
}

/// Looks whether a content as it lies in the database is still what its digest says.
pub(crate) fn verify(
    compressed: &[u8],
    digest: &Digest,
    default_namespace: Option<&str>,
) -> Result<()> {
    let text = zstd::Decoder::with_buffer(compressed).map_err(Error::internal)?;
    let found = Digest::of_read(default_namespace, text).map_err(Error::internal)?;
    if found == *digest {
        return Ok(());
    }
    Err(damaged())
}

fn damaged() -> Error {
    Error::internal(anyhow::anyhow!(
        "a content does not hash to its digest: the database is damaged"
    ))
}

/// The text of a content as it lies in the database, if it is still what its digest says. What it takes up goes with the work, which goes
/// on if nobody waits for it any more.
pub(crate) async fn restored<T: Send + 'static>(
    compressed: Bytes,
    digest: Digest,
    default_namespace: Option<String>,
    taken: T,
) -> Result<(String, T)> {
    let restored = tokio::task::spawn_blocking(move || {
        let text = restore(&compressed, &digest, default_namespace.as_deref());
        text.map(|text| (text, taken))
    });
    restored.await.map_err(Error::internal)?
}

fn restore(compressed: &[u8], digest: &Digest, default_namespace: Option<&str>) -> Result<String> {
    let bytes = zstd::bulk::decompress(compressed, MAX_BYTES).map_err(Error::internal)?;
    let text = String::from_utf8(bytes).map_err(Error::internal)?;
    if Digest::of(default_namespace, &text) != *digest {
        return Err(damaged());
    }
    Ok(text)
}

/// What a new snapshot no longer has.
pub(crate) fn dropped(before: &[ObjectKey], now: &[ObjectKey]) -> Vec<ObjectKey> {
    let now: HashSet<_> = now.iter().collect();
    let mut dropped: Vec<_> = before.iter().filter(|key| !now.contains(key)).collect();
    dropped.sort();
    dropped.into_iter().cloned().collect()
}

/// The objects whose loss was approved where a head no longer has them. They travel with the head, so that an
/// agent that skips versions knows them all.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Losses {
    /// Objects of kept kinds that may be deleted.
    pub(crate) of_kept_kinds: Vec<ObjectKey>,
    /// Objects of any kind that somebody agreed to lose, the newest last.
    pub(crate) approved: Vec<ObjectKey>,
}

/// How many objects a head may carry whose loss was approved by a plan. A stack that renames its objects with each
/// publish would carry more and more; an agent that was away for longer than that asks once more.
const CARRIED: usize = 5_000;

impl Losses {
    /// What the next head carries: these, and what it drops and is approved, less what is there again.
    pub(crate) fn after(
        self,
        dropped: &[ObjectKey],
        now: &[ObjectKey],
        allow_delete: &[KeptKind],
        is_approved: bool,
    ) -> Self {
        let mut is_there: HashSet<_> = now.iter().cloned().collect();
        let allows = |key: &&ObjectKey| {
            key.kept_kind()
                .is_some_and(|kind| allow_delete.contains(&kind))
        };
        let mut of_kept_kinds = self.of_kept_kinds;
        of_kept_kinds.extend(dropped.iter().filter(allows).cloned());
        of_kept_kinds.retain(|key| !is_there.contains(key));
        of_kept_kinds.sort();
        of_kept_kinds.dedup();
        let new = if is_approved { dropped } else { &[] };
        // What is dropped again is as new as the rest.
        is_there.extend(new.iter().cloned());
        let mut approved = self.approved;
        approved.retain(|key| !is_there.contains(key));
        approved.extend_from_slice(new);
        approved.drain(..approved.len().saturating_sub(CARRIED));
        Self {
            of_kept_kinds,
            approved,
        }
    }
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
        let kinds = [KeptKind::Namespace];
        let carried = |key: &ObjectKey| Losses {
            of_kept_kinds: vec![key.clone()],
            approved: Vec::new(),
        };
        let all = dropped(&before, &[]);
        let after = carried(&shop).after(&all, &[], &kinds, false);
        assert_eq!(after.of_kept_kinds, [shop.clone(), team.clone()]);
        assert!(after.approved.is_empty());
        let back = after.after(&[], std::slice::from_ref(&team), &[], false);
        assert_eq!(back.of_kept_kinds, [shop]);
        let now = [team];
        let kept = Losses::default().after(&dropped(&before, &now), &now, &kinds, false);
        assert_eq!(kept, Losses::default());
    }

    #[test]
    fn what_a_plan_drops_is_carried_until_it_is_back() {
        let keys: Vec<_> = ["a", "b", "c"].map(|name| key("ConfigMap", name)).into();
        let [a, b, c] = [0, 1, 2].map(|at| keys[at..=at].to_vec());
        let carry = |losses: Losses, before: &[ObjectKey], now: &[ObjectKey], is_approved| {
            losses.after(&dropped(before, now), now, &[], is_approved)
        };
        let losses = carry(Losses::default(), &keys, &c, true);
        assert_eq!(losses.approved, keys[..2]);
        // An unapproved publish adds nothing, and takes away what is there again.
        let losses = carry(losses, &c, &b, false);
        assert_eq!(losses.approved, a);
        let losses = carry(losses, &b, &a, true);
        assert_eq!(losses.approved, b);
        let many: Vec<_> = (0..CARRIED).map(|n| key("Pod", &n.to_string())).collect();
        let losses = carry(losses, &many, &[], true);
        assert_eq!(losses.approved.len(), CARRIED);
        assert!(!losses.approved.contains(&b[0]), "the oldest one goes");
    }

    #[test]
    fn a_damaged_content_is_noticed() {
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
        let snapshot = read(text, None).expect("a snapshot");
        let restored = restore(&snapshot.compressed, &snapshot.digest, None);
        assert_eq!(restored.ok().as_deref(), Some(text));
        let other = Digest::of(Some("b"), text);
        let looks_good = |compressed: &[u8], digest| {
            let found = verify(compressed, digest, None).is_ok();
            assert_eq!(found, restore(compressed, digest, None).is_ok());
            found
        };
        assert!(looks_good(&snapshot.compressed, &snapshot.digest));
        assert!(!looks_good(&snapshot.compressed, &other));
        assert!(!looks_good(&snapshot.compressed[..10], &snapshot.digest));
    }
}
