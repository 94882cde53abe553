use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use brokkr_core::KeyId;
use brokkr_core::pak::{PakHash, Role};
use jiff::Timestamp;
use uuid::Uuid;

use crate::rotation::{Life, Stage};
use crate::store::keys::Key;

/// The keys that nobody has ended, as requests are held against them.
#[derive(Default)]
pub(super) struct Keyring(HashMap<KeyId, Held>);

/// A key in memory.
pub(super) struct Held {
    pub(super) role: Role,
    pub(super) owner: Option<Uuid>,
    pub(super) hash: PakHash,
    pub(super) life: Life,
    pub(super) used: Arc<LastUse>,
}

/// When a key was used last at this replica. It outlives what else is known of the key.
#[derive(Debug, Default)]
pub(super) struct LastUse {
    micros: AtomicI64,
    flushed_micros: AtomicI64,
}

impl From<Key> for Held {
    fn from(key: Key) -> Self {
        Self {
            role: key.role,
            owner: key.owner,
            hash: key.hash,
            life: key.life,
            used: Arc::default(),
        }
    }
}

impl FromIterator<Key> for Keyring {
    fn from_iter<T: IntoIterator<Item = Key>>(keys: T) -> Self {
        Self(keys.into_iter().map(|key| (key.id, key.into())).collect())
    }
}

impl Keyring {
    pub(super) fn get(&self, id: KeyId) -> Option<&Held> {
        self.0.get(&id)
    }

    /// Replaces what is known of a key, and answers whose it was.
    pub(super) fn put(&mut self, id: KeyId, key: Option<Key>) -> Option<Uuid> {
        // A key that was ended is forgotten: to whoever sends it, it is unknown.
        let key = key.filter(|key| key.life.revoked_at.is_none());
        let before = match key {
            None => self.0.remove(&id),
            Some(key) => {
                let mut held = Held::from(key);
                if let Some(before) = self.0.get(&id) {
                    held.used = Arc::clone(&before.used);
                }
                self.0.insert(id, held)
            }
        };
        before.and_then(|held| held.owner)
    }

    /// Takes over when keys were used from a keyring that this one replaces.
    pub(super) fn take_uses_of(&mut self, current: &Self) {
        for (id, held) in &mut self.0 {
            if let Some(before) = current.0.get(id) {
                held.used = Arc::clone(&before.used);
            }
        }
    }

    /// The keys whose time is over, and whose they are.
    pub(super) fn ended(&self, now: Timestamp) -> Vec<(KeyId, Option<Uuid>)> {
        let ended = self.0.iter().filter(|(_, held)| !held.life.is_good(now));
        ended.map(|(id, held)| (*id, held.owner)).collect()
    }

    /// The keys that are known to be unused, and were used here.
    pub(super) fn first_uses(&self) -> Vec<(KeyId, Timestamp)> {
        let unused = self.0.iter().filter(|(_, held)| held.is_unused());
        unused
            .filter_map(|(id, held)| Some((*id, held.used.at()?)))
            .collect()
    }

    /// The uses that were not given out here before.
    pub(super) fn unflushed_uses(&self) -> Vec<(KeyId, Timestamp)> {
        let held = self.0.iter();
        held.filter_map(|(id, held)| Some((*id, held.used.unflushed()?)))
            .collect()
    }

    /// Notes that these uses were written.
    pub(super) fn flushed_uses(&self, uses: &[(KeyId, Timestamp)]) {
        for (id, at) in uses {
            if let Some(held) = self.0.get(id) {
                let flushed = &held.used.flushed_micros;
                flushed.store(at.as_microsecond(), Ordering::Relaxed);
            }
        }
    }
}

impl Held {
    pub(super) const fn is_unused(&self) -> bool {
        matches!(self.life.stage, Stage::Unused(_))
    }
}

impl LastUse {
    pub(super) fn note(&self, now: Timestamp) {
        self.micros
            .fetch_max(now.as_microsecond(), Ordering::Relaxed);
    }

    /// The last use at this replica; none since it started.
    pub(super) fn at(&self) -> Option<Timestamp> {
        let at = Timestamp::from_microsecond(self.micros.load(Ordering::Relaxed)).ok()?;
        (at != Timestamp::UNIX_EPOCH).then_some(at)
    }

    fn unflushed(&self) -> Option<Timestamp> {
        let at = self.at()?;
        let flushed = self.flushed_micros.load(Ordering::Relaxed);
        (flushed != at.as_microsecond()).then_some(at)
    }
}
