use brokkr_core::pak::{Pak, Role};
use brokkr_core::wire::{AuditAction, CreateKey, KeyOwner};
use brokkr_core::{KeyId, Name};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::idempotency::Repeatable;
use crate::rotation::{Expiry, Stage};
use crate::scope::Scope;
use crate::store::changes::Touched;
use crate::store::keys::{self, Key, NewKey};
use crate::store::{agents, generators};
use crate::writer::{Change, Lane, Mutation};

mod limit;
mod rotate;

pub(crate) use rotate::{RecordFirstUse, RotateKey, Rotated, RotatedBy};

/// What the first key of an admin, an agent or a generator is called.
const FIRST: &str = "first";

/// Gives the first key to an agent or a generator; the answer is the only one that shows it.
pub(super) async fn issue(role: Role, owner: Uuid, change: &mut Change) -> Result<Pak> {
    let name = first()?;
    let new = NewKey {
        role,
        owner: Some(owner),
        name: &name,
        expiry: Expiry::Never,
        stage: Stage::Standing,
    };
    generate(&new, change).await
}

fn first() -> Result<Name> {
    FIRST
        .parse()
        .map_err(|error: brokkr_core::name::InvalidName| Error::internal(error))
}

async fn generate(new: &NewKey<'_>, change: &mut Change) -> Result<Pak> {
    let pak = Pak::generate(new.role, &*change.ambient);
    keys::insert(&pak, new, change.now, &mut change.tx).await?;
    change.touch(Touched::Key(pak.id()));
    Ok(pak)
}

/// Ends every key of an agent or a generator.
pub(super) async fn revoke_all_of(owner: Uuid, change: &mut Change) -> Result<()> {
    for key in keys::revoke_all_of(owner, change.now, &mut change.tx).await? {
        change.touch(Touched::Key(key));
    }
    Ok(())
}

pub(super) fn named(key: &Key) -> (Uuid, Option<String>) {
    (key.id.uuid(), Some(key.name.to_string()))
}

async fn end(id: KeyId, change: &mut Change) -> Result<()> {
    keys::revoke(id, change.now, &mut change.tx).await?;
    change.touch(Touched::Key(id));
    Ok(())
}

async fn set_stage(id: KeyId, stage: Stage, change: &mut Change) -> Result<()> {
    keys::set_stage(id, stage, &mut change.tx).await?;
    change.touch(Touched::Key(id));
    Ok(())
}

/// A key as this change has made it.
async fn written(id: KeyId, change: &mut Change) -> Result<Key> {
    let key = keys::find(id, &mut change.tx).await?;
    key.ok_or(Error::NotFound("key"))
}

/// Takes back a rotation whose key nobody has used: the old key is as it was.
async fn undo(unused: KeyId, predecessor: KeyId, change: &mut Change) -> Result<()> {
    end(unused, change).await?;
    set_stage(predecessor, Stage::Standing, change).await
}

impl Mutation for CreateKey {
    type Output = (Key, Pak);

    async fn apply(&self, change: &mut Change) -> Result<Self::Output> {
        let (role, owner) = match &self.owner {
            KeyOwner::Admin => (Role::Admin, None),
            KeyOwner::Agent(agent) => {
                let agent = agents::find(agent, &Scope::All, &mut change.tx).await?;
                (Role::Agent, Some(agent.id.uuid()))
            }
            KeyOwner::Generator(generator) => {
                let generator = generators::find(generator, &mut change.tx).await?;
                (Role::Generator, Some(generator.id.uuid()))
            }
        };
        limit::of_keys(role, owner, change).await?;
        let new = NewKey {
            role,
            owner,
            name: &self.name,
            expiry: expiry(self, change.now)?,
            stage: Stage::Standing,
        };
        let pak = generate(&new, change).await?;
        let key = written(pak.id(), change).await?;
        let after = json!({"role": role, "owner": owner, "expires_at": key.life.expiry.at()});
        change.audit(
            AuditAction::KeyCreate,
            named(&key),
            None::<&()>,
            Some(&after),
        )?;
        Ok((key, pak))
    }
}

/// Its answer shows the key, which is shown once.
impl Repeatable for CreateKey {
    const KIND: &'static str = "create key";

    fn asked(&self) -> Result<Value> {
        Ok(json!(self))
    }

    fn made((key, _): &Self::Output) -> Option<Uuid> {
        Some(key.id.uuid())
    }

    async fn again(&self, made: Uuid, _: &mut Change) -> Result<Self::Output> {
        Err(Error::AlreadyDone(made))
    }
}

fn expiry(create: &CreateKey, now: Timestamp) -> Result<Expiry> {
    match (create.expires_in, create.expires_at) {
        (None, None) => Ok(Expiry::Never),
        (Some(_), Some(_)) => Err(Error::invalid(
            "/expires_at",
            "expires_in says when it ends already: leave one of them out",
        )),
        (Some(0), None) => Err(Error::invalid("/expires_in", "it would end at once")),
        (Some(seconds), None) => Ok(Expiry::within(seconds, now)),
        (None, Some(at)) if at <= now => Err(Error::invalid(
            "/expires_at",
            "this time has passed already",
        )),
        (None, Some(at)) => Ok(Expiry::On(at)),
    }
}

/// Ends a key. One that has ended already is left as it is.
pub(crate) struct RevokeKey(pub(crate) KeyId);

impl Mutation for RevokeKey {
    type Output = ();

    async fn apply(&self, change: &mut Change) -> Result<()> {
        let key = written(self.0, change).await?;
        if !key.life.is_good(change.now) {
            change.unchanged();
            return Ok(());
        }
        if key.role == Role::Admin {
            refuse_last_admin(&key, change).await?;
        }
        match key.life.stage {
            Stage::Unused(succession) => undo(key.id, succession.predecessor, change).await?,
            Stage::Standing | Stage::Replaced { .. } => end(key.id, change).await?,
        }
        let before = json!({"role": key.role, "owner": key.owner});
        change.audit(
            AuditAction::KeyRevoke,
            named(&key),
            Some(&before),
            None::<&()>,
        )
    }
}

/// A key that was never used, or that ends soon, is none to count on.
async fn refuse_last_admin(key: &Key, change: &mut Change) -> Result<()> {
    let admins = keys::of(Role::Admin, None, &mut change.tx).await?;
    let counts = |other: &&Key| other.id != key.id && other.life.stands(change.now);
    if key.life.stands(change.now) && !admins.iter().any(|other| counts(&other)) {
        return Err(Error::LastAdminKey);
    }
    Ok(())
}

/// Takes a key off the index whose time is over.
pub(crate) struct EndKey(pub(crate) KeyId);

impl Mutation for EndKey {
    type Output = ();

    async fn apply(&self, change: &mut Change) -> Result<()> {
        let key = written(self.0, change).await?;
        if key.life.revoked_at.is_some() || key.life.is_good(change.now) {
            // Another replica was quicker.
            change.unchanged();
            return Ok(());
        }
        end(key.id, change).await?;
        let before = json!({"role": key.role, "owner": key.owner, "ends_at": key.life.ends_at()});
        change.audit(
            AuditAction::KeyExpire,
            named(&key),
            Some(&before),
            None::<&()>,
        )
    }
}

/// Keeps when keys were used last: a chunk of what memory holds.
pub(crate) struct RecordUses(pub(crate) Vec<(KeyId, Timestamp)>);

impl Mutation for RecordUses {
    type Output = ();
    const LANE: Lane = Lane::Ingest;

    async fn apply(&self, change: &mut Change) -> Result<()> {
        keys::record_uses(&self.0, &mut change.tx).await
    }
}

/// Registers the first admin key of a database that has none.
pub(crate) struct RegisterFirstAdmin(pub(crate) Pak);

/// What became of the first admin key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirstAdmin {
    /// It is good from now on.
    Registered,
    /// Another one was there before.
    AlreadyThere,
}

impl Mutation for RegisterFirstAdmin {
    type Output = FirstAdmin;

    async fn apply(&self, change: &mut Change) -> Result<FirstAdmin> {
        if keys::any_admin(&mut change.tx).await? {
            change.unchanged();
            return Ok(FirstAdmin::AlreadyThere);
        }
        let name = first()?;
        let new = NewKey {
            role: Role::Admin,
            owner: None,
            name: &name,
            expiry: Expiry::Never,
            stage: Stage::Standing,
        };
        keys::insert(&self.0, &new, change.now, &mut change.tx).await?;
        change.touch(Touched::Key(self.0.id()));
        let after = json!({"role": Role::Admin});
        let subject = (self.0.id().uuid(), None);
        change.audit(AuditAction::KeyCreate, subject, None::<&()>, Some(&after))?;
        Ok(FirstAdmin::Registered)
    }
}
