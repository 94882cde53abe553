//! Contents of deployment objects as they are served: compressed, and read from the database once for all agents that
//! want the same one at the same time.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use axum::body::Bytes;
use brokkr_core::Digest;
use brokkr_core::pak::Role;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::memory::{LARGE, Memory, Rooms, Taken, held};
use crate::scope::Caller;
use crate::snapshot;
use crate::store::{self, Db};

/// So many contents of a few kilobytes.
const ITEMS: usize = 4_096;

/// Which content: what is published twice by one owner is one content.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Wanted {
    pub(crate) owner: Uuid,
    pub(crate) digest: Digest,
    /// The digest covers it.
    pub(crate) default_namespace: Option<String>,
}

/// So many contents are read and verified at once: it is the processor's work, and each is in memory before it has its room.
const AT_ONCE: usize = 4;

/// The contents that were read lately.
pub(crate) struct Contents {
    db: Arc<Db>,
    read: Cache<(Uuid, Digest), Arc<Content>, Weight>,
    turns: Semaphore,
}

/// A content in memory, once for all who want it.
struct Content {
    compressed: Bytes,
    /// Its room among the answers under way, for as long as it is part of one: to agents, and to all others.
    rooms: Mutex<[Weak<Taken>; 2]>,
}

#[derive(Clone)]
struct Weight;

impl Weighter<(Uuid, Digest), Arc<Content>> for Weight {
    fn weight(&self, _: &(Uuid, Digest), content: &Arc<Content>) -> u64 {
        content.compressed.len() as u64
    }
}

impl Contents {
    pub(crate) fn new(db: Arc<Db>, memory: Memory) -> anyhow::Result<Self> {
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
            turns: Semaphore::new(AT_ONCE),
        })
    }

    /// A content as it lies, compressed. That it is what its digest says was seen when it was read.
    pub(crate) async fn compressed(
        &self,
        wanted: &Wanted,
        to: &Caller,
        rooms: &Rooms,
    ) -> Result<Bytes> {
        let content = self.content(wanted).await?;
        content.to_answer(to.role(), to.owner(), rooms)
    }

    /// The text of a content.
    pub(crate) async fn text(&self, wanted: &Wanted, to: &Caller, rooms: &Rooms) -> Result<Bytes> {
        let content = self.content(wanted).await?;
        let answers = rooms.answers_to(to.role());
        let room = answers.take(to.owner(), snapshot::size(&content.compressed))?;
        let (compressed, namespace) =
            (content.compressed.clone(), wanted.default_namespace.clone());
        let (text, room) = snapshot::restored(compressed, wanted.digest, namespace, room).await?;
        Ok(held(text, room))
    }

    async fn content(&self, wanted: &Wanted) -> Result<Arc<Content>> {
        let key = (wanted.owner, wanted.digest);
        self.read
            .get_or_insert_async(&key, self.read_from_database(wanted))
            .await
    }

    async fn read_from_database(&self, wanted: &Wanted) -> Result<Arc<Content>> {
        let _turn = self.turns.acquire().await.map_err(Error::internal)?;
        let mut tx = self.db.read().await?;
        let body = store::contents::body(wanted.owner, &wanted.digest, &mut tx).await?;
        drop(tx);
        let compressed = Bytes::from(body);
        let (read, wanted) = (compressed.clone(), wanted.clone());
        let verified = tokio::task::spawn_blocking(move || {
            snapshot::verify(&read, &wanted.digest, wanted.default_namespace.as_deref())
        });
        verified.await.map_err(Error::internal)??;
        Ok(Arc::new(Content {
            compressed,
            rooms: Mutex::default(),
        }))
    }
}

impl Content {
    /// The content as part of an answer. A large one has its room until the last who wants it has it, held for others or not.
    fn to_answer(&self, role: Role, caller: Uuid, rooms: &Rooms) -> Result<Bytes> {
        let compressed = self.compressed.clone();
        if compressed.len() < LARGE {
            return Ok(compressed);
        }
        let answers = rooms.answers_to(role);
        let share = answers.share(caller, compressed.len())?;
        let mut taken = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let room = &mut taken[usize::from(role == Role::Agent)];
        let taken = if let Some(taken) = room.upgrade() {
            taken
        } else {
            let taken = Arc::new(answers.take_for_all(compressed.len())?);
            *room = Arc::downgrade(&taken);
            taken
        };
        Ok(held(compressed, (taken, share)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_content_has_its_room_once_however_many_want_it() {
        let content = Content {
            compressed: vec![0; LARGE].into(),
            rooms: Mutex::default(),
        };
        let rooms = Rooms::new(Memory::default());
        let answers: Vec<_> = (0..3)
            .map(|agent| content.to_answer(Role::Agent, Uuid::from_u128(agent), &rooms))
            .collect();
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(rooms.agent_answers.room.taken(), LARGE);
        let to_admin = content.to_answer(Role::Admin, Uuid::nil(), &rooms);
        assert!(to_admin.is_ok());
        drop(answers);
        assert_eq!(rooms.agent_answers.room.taken(), 0);
        assert_eq!(rooms.answers.room.taken(), LARGE, "each side has its own");
        let _all = rooms.agent_answers.room.take(usize::MAX);
        assert!(content.to_answer(Role::Agent, Uuid::nil(), &rooms).is_err());
    }
}
