//! Contents of deployment objects as they are served: compressed, and read from the database once for all agents that
//! want the same one at the same time.

use std::sync::Arc;

use axum::body::Bytes;
use brokkr_core::Digest;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::memory::{Memory, Room, held, to_answer};
use crate::snapshot;
use crate::store::{self, Db};

/// So many contents of a few kilobytes.
const ITEMS: usize = 4_096;
/// Compressed, a content from this size on counts as an answer under way until the last one who wants it has it, held for others or not.
const LARGE: usize = 1024 * 1024;

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
    /// Texts, and large contents.
    answers: Room,
}

#[derive(Clone)]
struct Weight;

impl Weighter<(Uuid, Digest), Bytes> for Weight {
    fn weight(&self, _: &(Uuid, Digest), content: &Bytes) -> u64 {
        content.len() as u64
    }
}

impl Contents {
    pub(crate) fn new(db: Arc<Db>, memory: Memory, answers: Room) -> anyhow::Result<Self> {
        let options = OptionsBuilder::new()
            .estimated_items_capacity(ITEMS)
            .weight_capacity(memory.contents() as u64)
            // What is larger than a shard is never held, and by default there are more of them the more cores there are.
            .shards(1)
            .build()?;
        let (hasher, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
        Ok(Self {
            db,
            read: Cache::with_options(options, Weight, hasher, lifecycle),
            answers,
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
        let room = to_answer(&self.answers, snapshot::size(&compressed))?;
        let (content, room) = restored(compressed, wanted.clone(), room).await?;
        Ok(held(content, room))
    }

    async fn read_from_database(&self, wanted: &Wanted) -> Result<Bytes> {
        let mut tx = self.db.read().await?;
        let body = store::contents::body(wanted.owner, &wanted.digest, &mut tx).await?;
        drop(tx);
        let body = if body.len() < LARGE {
            Bytes::from(body)
        } else {
            let room = to_answer(&self.answers, body.len())?;
            held(body, room)
        };
        restored(body.clone(), wanted.clone(), ()).await?;
        Ok(body)
    }
}

/// Decompresses a content and looks whether it is what it should be. The work goes on if nobody waits for it any more, and what it takes up
/// goes with it.
async fn restored<T: Send + 'static>(
    compressed: Bytes,
    wanted: Wanted,
    taken: T,
) -> Result<(String, T)> {
    tokio::task::spawn_blocking(move || {
        let content = snapshot::restore(
            &compressed,
            &wanted.digest,
            wanted.default_namespace.as_deref(),
        );
        content.map(|content| (content, taken))
    })
    .await
    .map_err(Error::internal)?
}
