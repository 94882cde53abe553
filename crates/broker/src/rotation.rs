//! How a key ends: a function of what is on record and of the time, without a database.
//!
//! A rotation leaves two keys. Without an overlap the old one ends when the first use of the new one has been
//! recorded; with one it ends that long after the rotation, used or not. A new key that nobody uses ends
//! after a day, and where the old one has not ended by then, it lives on as if nothing had been.

use brokkr_core::KeyId;
use brokkr_core::wire::KeyState;
use jiff::{SignedDuration, Timestamp};

/// How long a new key waits for its first use.
const UNUSED: SignedDuration = SignedDuration::from_hours(24);

/// Where a key stands between being made and being ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It lasts until it expires or somebody ends it.
    Standing,
    /// A rotation made it, and nobody has used it yet.
    Unused(Succession),
    /// A rotation put another key in its place; it ends then.
    Replaced { until: Timestamp },
}

/// What the first use of a new key will mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Succession {
    /// The key that it takes the place of.
    pub(crate) predecessor: KeyId,
    /// When that one ends, if not at the first use.
    pub(crate) predecessor_until: Option<Timestamp>,
    /// The new key ends then, if it is not used before.
    pub(crate) until: Timestamp,
}

/// When a key expires, and what that means for the keys in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    Never,
    /// At a moment that no rotation puts off.
    On(Timestamp),
    /// So many seconds after it was made, and so does each key in its place.
    Within {
        seconds: u64,
        at: Timestamp,
    },
}

/// All that decides whether a key opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) expiry: Expiry,
    pub(crate) stage: Stage,
    pub(crate) revoked_at: Option<Timestamp>,
}

/// What a rotation makes of both keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rotation {
    pub(crate) old: Stage,
    pub(crate) new: Stage,
}

/// Rotates a key that stands, or that stood before an unused successor gave way.
pub(crate) fn rotate(old: KeyId, overlap: Option<SignedDuration>, now: Timestamp) -> Rotation {
    let end = overlap.map(|overlap| later(now, overlap));
    let until = later(now, UNUSED);
    let old_stage = match end {
        Some(end) if end <= until => Stage::Replaced { until: end },
        // Its end is not certain yet: a new key that ends unused leaves it as it was.
        Some(_) | None => Stage::Standing,
    };
    Rotation {
        old: old_stage,
        new: Stage::Unused(Succession {
            predecessor: old,
            predecessor_until: end,
            until,
        }),
    }
}

impl Succession {
    /// What becomes of the predecessor by the first use; nothing means that it ends at once.
    pub(crate) fn predecessor_after_use(&self, now: Timestamp) -> Option<Stage> {
        let until = self.predecessor_until.filter(|until| *until > now)?;
        Some(Stage::Replaced { until })
    }
}

impl Expiry {
    /// The expiry of a key that is put in the place of one with this expiry.
    pub(crate) fn renewed(self, now: Timestamp) -> Self {
        match self {
            Self::Never | Self::On(_) => self,
            Self::Within { seconds, .. } => Self::within(seconds, now),
        }
    }

    pub(crate) fn within(seconds: u64, now: Timestamp) -> Self {
        let duration = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
        Self::Within {
            seconds,
            at: later(now, duration),
        }
    }

    /// How long each key lasts, if that is what was said.
    pub(crate) const fn seconds(self) -> Option<u64> {
        match self {
            Self::Within { seconds, .. } => Some(seconds),
            Self::Never | Self::On(_) => None,
        }
    }

    /// The moment, if there is one.
    pub(crate) const fn at(self) -> Option<Timestamp> {
        match self {
            Self::Never => None,
            Self::On(at) | Self::Within { at, .. } => Some(at),
        }
    }
}

impl Life {
    /// When it ends if nobody does anything.
    pub(crate) fn ends_at(&self) -> Option<Timestamp> {
        let stage = match self.stage {
            Stage::Standing => None,
            Stage::Unused(Succession { until, .. }) | Stage::Replaced { until } => Some(until),
        };
        [self.expiry.at(), stage].into_iter().flatten().min()
    }

    pub(crate) fn is_good(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.ends_at().is_none_or(|end| now < end)
    }

    /// Whether it opens for as long as anybody can tell: it is neither on trial nor on its way out.
    pub(crate) fn stands(&self, now: Timestamp) -> bool {
        self.is_good(now) && self.stage == Stage::Standing
    }

    /// What people call it.
    pub(crate) fn state(&self, now: Timestamp) -> KeyState {
        let ended = self.revoked_at.unwrap_or(now);
        match self.stage {
            _ if self.ends_at().is_some_and(|end| end <= ended) => KeyState::Expired,
            _ if self.revoked_at.is_some() => KeyState::Revoked,
            Stage::Standing => KeyState::Good,
            Stage::Unused(_) => KeyState::Unused,
            Stage::Replaced { .. } => KeyState::Replaced,
        }
    }
}

/// How many of somebody's keys count for the limit. A key and the one that is to take its place are one, so
/// that a rotation is possible at the limit; a key on its way out counts no more.
pub(crate) fn counted(keys: &[(KeyId, Life)], now: Timestamp) -> usize {
    let standing = |id| {
        keys.iter()
            .any(|(other, life)| *other == id && life.stands(now))
    };
    let counts = |life: &Life| match life.stage {
        Stage::Standing => true,
        Stage::Unused(succession) => !standing(succession.predecessor),
        Stage::Replaced { .. } => false,
    };
    let good = keys.iter().filter(|(_, life)| life.is_good(now));
    good.filter(|(_, life)| counts(life)).count()
}

/// How many of somebody's keys open until an overlap is over.
pub(crate) fn leaving(keys: &[(KeyId, Life)], now: Timestamp) -> usize {
    let leaves = |life: &Life| matches!(life.stage, Stage::Replaced { .. }) && life.is_good(now);
    keys.iter().filter(|(_, life)| leaves(life)).count()
}

/// A time so far away that the calendar ends before it is the calendar's end.
fn later(now: Timestamp, duration: SignedDuration) -> Timestamp {
    now.checked_add(duration).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
