use brokkr_core::pak::{Pak, Role};
use brokkr_core::wire::AuditAction;
use serde_json::json;
use uuid::Uuid;

use crate::error::Result;
use crate::store::changes::Touched;
use crate::store::keys;
use crate::writer::{Change, Mutation};

/// Gives a key to an agent or a generator; the answer is the only one that shows it.
pub(super) async fn issue(role: Role, owner: Uuid, change: &mut Change) -> Result<Pak> {
    let pak = Pak::generate(role, &*change.ambient);
    keys::insert(&pak, role, Some(owner), change.now, &mut change.tx).await?;
    change.touch(Touched::Key(pak.id()));
    Ok(pak)
}

/// Revokes every key of an agent or a generator.
pub(super) async fn revoke_all_of(owner: Uuid, change: &mut Change) -> Result<()> {
    for key in keys::revoke_all_of(owner, change.now, &mut change.tx).await? {
        change.touch(Touched::Key(key));
    }
    Ok(())
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
        keys::insert(&self.0, Role::Admin, None, change.now, &mut change.tx).await?;
        change.touch(Touched::Key(self.0.id()));
        let after = json!({"role": Role::Admin});
        let subject = (self.0.id().uuid(), None);
        change.audit(AuditAction::KeyCreate, subject, None::<&()>, Some(&after))?;
        Ok(FirstAdmin::Registered)
    }
}
