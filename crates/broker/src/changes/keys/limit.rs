//! How many keys an agent, a generator or the operators may have, read in the change that would exceed it.

use brokkr_core::pak::Role;
use brokkr_core::wire::ActorRole;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::rotation::{self, Life};
use crate::store::{keys, settings};
use crate::writer::Change;

/// Refuses one key too many. On its host there is always a way in.
pub(super) async fn of_keys(role: Role, owner: Option<Uuid>, change: &mut Change) -> Result<()> {
    if change.actor.role == ActorRole::Host {
        return Ok(());
    }
    let most = most(change).await?;
    let has = rotation::counted(&lives(role, owner, change).await?, change.now);
    if has < most {
        return Ok(());
    }
    Err(Error::QuotaExceeded(format!(
        "{} {most} keys, and {has} are in use: revoke one, or allow more with `brokkr settings set --keys-per-identity`",
        may_have(role)
    )))
}

/// Refuses to leave one more key beside its successor. A rotation without an overlap, or with one of 0 s, leaves none.
pub(super) async fn of_overlaps(
    role: Role,
    owner: Option<Uuid>,
    change: &mut Change,
) -> Result<()> {
    let most = most(change).await?;
    if rotation::leaving(&lives(role, owner, change).await?, change.now) < most {
        return Ok(());
    }
    Err(Error::QuotaExceeded(format!(
        "{} {most} keys, and as many replaced ones still open: rotate without an overlap, or revoke one of those",
        may_have(role)
    )))
}

async fn most(change: &mut Change) -> Result<usize> {
    let limits = settings::read(&mut change.tx).await?.limits;
    usize::try_from(limits.keys_per_identity.get()).map_err(Error::internal)
}

async fn lives(
    role: Role,
    owner: Option<Uuid>,
    change: &mut Change,
) -> Result<Vec<(brokkr_core::KeyId, Life)>> {
    let keys = keys::of(role, owner, &mut change.tx).await?;
    Ok(keys.into_iter().map(|key| (key.id, key.life)).collect())
}

const fn may_have(role: Role) -> &'static str {
    match role {
        Role::Admin => "the operators together may have",
        Role::Agent => "an agent may have",
        Role::Generator => "a generator may have",
    }
}
