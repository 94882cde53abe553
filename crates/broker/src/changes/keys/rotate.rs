use brokkr_core::KeyId;
use brokkr_core::pak::Pak;
use brokkr_core::wire::AuditAction;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{end, generate, limit, named, set_stage, undo, written};
use crate::error::{Error, Result};
use crate::rotation::{self, Stage};
use crate::store::keys::{self, Key, NewKey};
use crate::writer::{Change, Mutation};

/// The longest overlap of a rotation, in seconds: 90 days.
const LONGEST_OVERLAP: u64 = 90 * 24 * 60 * 60;

/// Puts a new key in the place of one.
pub(crate) struct RotateKey {
    pub(crate) key: KeyId,
    pub(crate) by: RotatedBy,
    /// In seconds.
    pub(crate) overlap: Option<u64>,
}

/// Who rotates a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RotatedBy {
    /// Whoever holds it, which is a use of it.
    Holder,
    Admin,
}

/// What a rotation came to.
pub(crate) struct Rotated {
    pub(crate) pak: Pak,
    pub(crate) new: Key,
    pub(crate) old: Key,
}

impl Mutation for RotateKey {
    type Output = Rotated;

    async fn apply(&self, change: &mut Change) -> Result<Rotated> {
        let overlap = overlap(self.overlap)?;
        let mut key = written(self.key, change).await?;
        if !key.life.is_good(change.now) {
            return Err(Error::KeyEnded("this key has ended: make another one"));
        }
        if self.by == RotatedBy::Holder {
            settle(&key, change).await?;
            key = written(self.key, change).await?;
        }
        let old = give_way(&key, change).await?;
        if overlap.is_some_and(|overlap| overlap.is_positive()) {
            limit::of_overlaps(key.role, key.owner, change).await?;
        }
        let rotation = rotation::rotate(old, overlap, change.now);
        set_stage(old, rotation.old, change).await?;
        let new = NewKey {
            role: key.role,
            owner: key.owner,
            name: &key.name,
            expiry: key.life.expiry.renewed(change.now),
            stage: rotation.new,
        };
        let pak = generate(&new, change).await?;
        let (new, old) = (
            written(pak.id(), change).await?,
            written(old, change).await?,
        );
        let after = json!({"key": new.id, "overlap": self.overlap});
        change.audit(
            AuditAction::KeyRotate,
            named(&old),
            None::<&()>,
            Some(&after),
        )?;
        Ok(Rotated { pak, new, old })
    }
}

/// The key to rotate. Of a rotation that was begun before and whose key nobody has used, that key gives way,
/// whichever of the two was named: its answer was lost, or somebody thought better of it.
async fn give_way(key: &Key, change: &mut Change) -> Result<KeyId> {
    if let Stage::Unused(succession) = key.life.stage {
        undo(key.id, succession.predecessor, change).await?;
        return Ok(succession.predecessor);
    }
    match keys::unused_successor(key.id, &mut change.tx).await? {
        Some(unused) => undo(unused, key.id, change).await?,
        None if key.life.stage == Stage::Standing => {}
        // Else a key on its way out could make itself one that stays.
        None => {
            return Err(Error::KeyEnded(
                "another key is in the place of this one already: rotate that one",
            ));
        }
    }
    Ok(key.id)
}

fn overlap(seconds: Option<u64>) -> Result<Option<SignedDuration>> {
    match seconds {
        Some(seconds) if seconds > LONGEST_OVERLAP => Err(Error::invalid(
            "/overlap",
            format!("an overlap has at most {LONGEST_OVERLAP} seconds, which are 90 days"),
        )),
        seconds => Ok(seconds
            .map(|seconds| SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX)))),
    }
}

/// Records that a key was used first.
pub(crate) struct RecordFirstUse {
    pub(crate) key: KeyId,
    pub(crate) at: Timestamp,
}

impl Mutation for RecordFirstUse {
    type Output = ();

    async fn apply(&self, change: &mut Change) -> Result<()> {
        let key = written(self.key, change).await?;
        // Good when it was used: the record may be late. Another replica may have been quicker.
        let Stage::Unused(succession) = key.life.stage else {
            change.unchanged();
            return Ok(());
        };
        if !key.life.is_good(self.at) {
            change.unchanged();
            return Ok(());
        }
        settle(&key, change).await?;
        let after = json!({"replaces": succession.predecessor});
        change.audit(AuditAction::KeyUse, named(&key), None::<&()>, Some(&after))
    }
}

/// Records that a key was used first: it stands from now on, and the one in whose place it is ends.
async fn settle(key: &Key, change: &mut Change) -> Result<()> {
    let Stage::Unused(succession) = key.life.stage else {
        return Ok(());
    };
    set_stage(key.id, Stage::Standing, change).await?;
    match succession.predecessor_after_use(change.now) {
        Some(stage) => set_stage(succession.predecessor, stage, change).await,
        None => end(succession.predecessor, change).await,
    }
}
