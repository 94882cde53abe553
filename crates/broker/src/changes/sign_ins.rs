//! Signing in to the console, and out of it.

use brokkr_core::pak::Pak;
use brokkr_core::wire::AuditAction;
use brokkr_core::{KeyId, SignInId};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::keys::named;
use crate::error::{Error, Result};
use crate::store::changes::Touched;
use crate::store::keys::{self, Key};
use crate::store::sign_ins;
use crate::writer::{Change, Mutation};

/// A working day, and not the next one.
const LASTS: SignedDuration = SignedDuration::from_hours(12);
/// So many sign-ins with one key stand; the next one ends the oldest. Several people may use one key.
const MOST: i64 = 100;

/// Signs in with a key. The answer is the only one that has the token; it ends with the key.
pub(crate) struct SignIn {
    pub(crate) key: KeyId,
}

impl Mutation for SignIn {
    /// The token, and when the sign-in ends at the latest.
    type Output = (Pak, Timestamp);

    async fn apply(&self, change: &mut Change) -> Result<Self::Output> {
        let key = held(self.key, change).await?;
        let token = Pak::generate(key.role, &*change.ambient);
        let (now, tx) = (change.now, &mut change.tx);
        let latest = now.checked_add(LASTS).map_err(Error::internal)?;
        let ends = key.life.expiry.at().map_or(latest, |at| at.min(latest));
        let id = sign_ins::insert(&token, key.id, now, ends, tx).await?;
        change.touch(Touched::SignIn(id));
        for surplus in sign_ins::surplus(key.id, MOST, &mut change.tx).await? {
            end(surplus, change).await?;
        }
        let (subject, after) = (named(&key), json!({"expires_at": ends}));
        change.audit(AuditAction::KeySignIn, subject, None::<&()>, Some(&after))?;
        Ok((token, ends))
    }
}

/// Ends a sign-in.
pub(crate) struct SignOut {
    pub(crate) id: SignInId,
    pub(crate) key: KeyId,
}

impl Mutation for SignOut {
    type Output = ();

    async fn apply(&self, change: &mut Change) -> Result<()> {
        let key = held(self.key, change).await?;
        end(self.id, change).await?;
        let subject = named(&key);
        change.audit(AuditAction::KeySignOut, subject, None::<&()>, None::<&()>)
    }
}

async fn held(id: KeyId, change: &mut Change) -> Result<Key> {
    let key = keys::find(id, &mut change.tx).await?;
    key.filter(|key| key.life.is_good(change.now))
        .ok_or(Error::Unauthenticated)
}

async fn end(id: SignInId, change: &mut Change) -> Result<()> {
    sign_ins::delete(id, &mut change.tx).await?;
    change.touch(Touched::SignIn(id));
    Ok(())
}
