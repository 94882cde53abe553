use std::collections::HashSet;

use brokkr_core::ObjectKey;
use brokkr_core::mutant::Mutant;
use brokkr_core::object::KeptKind;
use brokkr_core::wire::{LossCause, TargetRemoval, TargetStack};

/// What people said about the loss of a stack's objects.
pub(crate) enum Consent<'a> {
    /// Of single objects, as a manifest wrote them.
    Snapshot {
        sequence: u64,
        allowed: Named<'a>,
        approved: Named<'a>,
        released: Named<'a>,
    },
    /// Of all of them.
    Removal(&'a TargetRemoval),
}

/// Objects as a manifest wrote them.
pub(crate) struct Named<'a>(HashSet<&'a ObjectKey>);

impl<'a> Consent<'a> {
    pub(crate) fn of(entry: &'a TargetStack) -> Self {
        Self::Snapshot {
            sequence: entry.sequence,
            allowed: Named::of(&entry.allow_delete),
            approved: Named::of(&entry.approved_losses),
            released: Named::of(&entry.released),
        }
    }

    /// Whether an object of a kept kind may go.
    pub(crate) fn allows(&self, key: &ObjectKey, kind: KeptKind) -> bool {
        match self {
            Self::Snapshot { allowed, .. } => allowed.has(key),
            Self::Removal(removal) => removal.allow_delete.contains(&kind),
        }
    }

    /// Whether somebody said yes to an object's loss. Whoever names a kept kind has said so.
    pub(super) fn approves(&self, key: &ObjectKey) -> bool {
        let is_approved = match self {
            Self::Snapshot {
                approved, released, ..
            } => approved.has(key) || (Mutant::ReleasedDeleted.is_on() && released.has(key)),
            Self::Removal(removal) => removal.approved.is_some(),
        };
        is_approved || key.kept_kind().is_some_and(|kind| self.allows(key, kind))
    }

    /// Whether somebody said no to it.
    pub(crate) fn refuses(&self, key: &ObjectKey) -> bool {
        match self {
            Self::Snapshot { released, .. } => {
                released.has(key) && !Mutant::ReleasedDeleted.is_on()
            }
            Self::Removal(_) => false,
        }
    }

    pub(super) const fn cause(&self) -> LossCause {
        match self {
            Self::Snapshot { sequence, .. } => LossCause::Snapshot(*sequence),
            Self::Removal(removal) => LossCause::Removal(removal.revision),
        }
    }
}

impl<'a> Named<'a> {
    fn of(written: &'a [ObjectKey]) -> Self {
        Self(written.iter().collect())
    }

    fn has(&self, key: &ObjectKey) -> bool {
        let is_written = || self.0.iter().any(|written| key.is_written_as(written));
        self.0.contains(key) || (key.namespace.is_none() && is_written())
    }
}
