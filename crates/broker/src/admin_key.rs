//! The first admin key. Nothing ships with a credential: the first start with an empty database makes one.

use std::fs::{File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, anyhow};
use brokkr_core::pak::{Pak, Role};
use brokkr_core::wire::ActorRole;

use crate::Broker;
use crate::audit;
use crate::changes::keys::{FirstAdmin, RegisterFirstAdmin};
use crate::store::keys;

/// Makes sure that somebody can administer the broker. The file is written before the key is good: a crash
/// in between leaves a key that the next start takes.
pub(crate) async fn ensure(broker: &Broker, file: &Path) -> anyhow::Result<()> {
    let mut tx = broker.db.snapshot().await?;
    let is_there = keys::any_admin(&mut tx).await?;
    drop(tx);
    if is_there {
        return Ok(());
    }
    let (pak, is_new) = match given(file)? {
        Some(pak) => (pak, false),
        None => (write(broker, file)?, true),
    };
    match broker
        .change(audit::local(ActorRole::Host), RegisterFirstAdmin(pak))
        .await?
    {
        FirstAdmin::Registered => {
            tracing::info!(file = %file.display(), "the first admin key is in this file");
        }
        // Another replica was quicker; its file has the key.
        FirstAdmin::AlreadyThere if is_new => std::fs::remove_file(file)?,
        FirstAdmin::AlreadyThere => {}
    }
    Ok(())
}

/// A key that an operator, or an earlier start that was cut short, has put there.
fn given(file: &Path) -> anyhow::Result<Option<Pak>> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(error)
                .with_context(|| format!("the admin key file {} cannot be read", file.display()));
        }
    };
    let pak = text.trim().parse().map_err(|_| {
        anyhow!(
            "{} holds no admin key, and this database has none: remove the file, and the next start makes a key",
            file.display()
        )
    })?;
    std::fs::set_permissions(file, Permissions::from_mode(0o600))?;
    Ok(Some(pak))
}

fn write(broker: &Broker, file: &Path) -> anyhow::Result<Pak> {
    let pak = Pak::generate(Role::Admin, &*broker.ambient);
    let cannot = || {
        format!(
            "the admin key file {} cannot be written: does its folder exist?",
            file.display()
        )
    };
    let mut options = File::options();
    let mut opened = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .with_context(cannot)?;
    writeln!(opened, "{}", pak.expose()).with_context(cannot)?;
    opened.sync_all().with_context(cannot)?;
    Ok(pak)
}
