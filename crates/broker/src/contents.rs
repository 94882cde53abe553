//! Contents of deployment objects as they are served: compressed, and read from the database once for all agents that
//! want the same one at the same time.

use std::sync::Arc;

use axum::body::Bytes;
use brokkr_core::Digest;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::snapshot;
use crate::store::{self, Db};

/// All that is held together, compressed. A content is never as large.
const BYTES: u64 = 32 * 1024 * 1024;
/// So many contents of a few kilobytes.
const ITEMS: usize = 4_096;
/// What requests have of their own, for as long as their answers are under way: texts, and large contents, which stay until the last
/// answer is out, held for others or not. Beyond it, more are refused: who reads slowly must not fill the memory.
const ROOM: usize = 128 * 1024 * 1024;
/// Compressed, a content from this size on counts.
const LARGE: usize = 1024 * 1024;
/// In what the room is counted.
const UNIT: usize = 1024;

/// Which content: what is published twice by one owner is one content.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Wanted {
    pub(crate) owner: Uuid,
    pub(crate) digest: Digest,
    /// The digest covers it.
    pub(crate) default_namespace: Option<String>,
}

/// The contents that were read lately.
pub(crate) struct Contents {
    db: Arc<Db>,
    read: Cache<(Uuid, Digest), Bytes, Weight>,
    room: Arc<Semaphore>,
}

/// A content with its part of the room.
struct Held<T> {
    content: T,
    _room: OwnedSemaphorePermit,
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for Held<T> {
    fn as_ref(&self) -> &[u8] {
        self.content.as_ref()
    }
}

#[derive(Clone)]
struct Weight;

impl Weighter<(Uuid, Digest), Bytes> for Weight {
    fn weight(&self, _: &(Uuid, Digest), content: &Bytes) -> u64 {
        content.len() as u64
    }
}

impl Contents {
    pub(crate) fn new(db: Arc<Db>) -> anyhow::Result<Self> {
        let options = OptionsBuilder::new()
            .estimated_items_capacity(ITEMS)
            .weight_capacity(BYTES)
            // What is larger than a shard is never held, and by default there are more of them the more cores there are.
            .shards(1)
            .build()?;
        let (hasher, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
        Ok(Self {
            db,
            read: Cache::with_options(options, Weight, hasher, lifecycle),
            room: Arc::new(Semaphore::new(ROOM / UNIT)),
        })
    }

    /// A content as it lies, compressed. That it is what its digest says was seen when it was read.
    pub(crate) async fn compressed(&self, wanted: &Wanted) -> Result<Bytes> {
        let key = (wanted.owner, wanted.digest);
        self.read
            .get_or_insert_async(&key, self.read_from_database(wanted))
            .await
    }

    /// The text of a content.
    pub(crate) async fn text(&self, wanted: &Wanted) -> Result<Bytes> {
        let compressed = self.compressed(wanted).await?;
        let room = self.room(snapshot::size(&compressed))?;
        let content = restored(compressed, wanted.clone()).await?;
        Ok(held(content, room))
    }

    fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(units);
        room.map_err(|_| {
            Error::Unavailable(
                "the broker sends as many contents as it can hold; repeat the request".to_owned(),
            )
        })
    }

    async fn read_from_database(&self, wanted: &Wanted) -> Result<Bytes> {
        let mut tx = self.db.read().await?;
        let body = store::contents::body(wanted.owner, &wanted.digest, &mut tx).await?;
        drop(tx);
        let body = if body.len() < LARGE {
            Bytes::from(body)
        } else {
            let room = self.room(body.len())?;
            held(body, room)
        };
        restored(body.clone(), wanted.clone()).await?;
        Ok(body)
    }
}

/// The memory of a content, which goes with its part of the room.
fn held(content: impl AsRef<[u8]> + Send + 'static, room: OwnedSemaphorePermit) -> Bytes {
    Bytes::from_owner(Held {
        content,
        _room: room,
    })
}

async fn restored(compressed: Bytes, wanted: Wanted) -> Result<String> {
    tokio::task::spawn_blocking(move || {
        snapshot::restore(
            &compressed,
            &wanted.digest,
            wanted.default_namespace.as_deref(),
        )
    })
    .await
    .map_err(Error::internal)?
}
