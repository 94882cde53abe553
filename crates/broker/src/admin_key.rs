//! The first admin key. Nothing ships with a credential: the first start with an empty database makes one.

use std::fs::{File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use std::sync::Arc;

use anyhow::{Context, anyhow};
use brokkr_core::Name;
use brokkr_core::ambient::Ambient;
use brokkr_core::pak::{Pak, Role};
use brokkr_core::wire::{ActorRole, CreateKey, KeyOwner};
use tokio_util::sync::CancellationToken;

use crate::audit;
use crate::backup::flush_folder;
use crate::changes::keys::{FirstAdmin, RegisterFirstAdmin};
use crate::memory::Memory;
use crate::store::{self, Db, keys};
use crate::writer::Writer;
use crate::{Broker, StartError};

/// Makes sure that somebody can administer the broker. The file is on the disk before the key is good: a
/// crash in between leaves a key that the next start takes.
pub(crate) async fn ensure(broker: &Broker, file: &Path) -> Result<(), StartError> {
    if is_there(broker).await? {
        return Ok(());
    }
    let (pak, is_new) = match given(file)? {
        Some(pak) => (pak, false),
        None => (write(broker, file)?, true),
    };
    Ok(register(broker, pak, is_new, file).await?)
}

async fn is_there(broker: &Broker) -> anyhow::Result<bool> {
    Ok(keys::any_admin(&mut broker.db.snapshot().await?).await?)
}

async fn register(broker: &Broker, pak: Pak, is_new: bool, file: &Path) -> anyhow::Result<()> {
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
fn given(file: &Path) -> Result<Option<Pak>, StartError> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let what = format!("the admin key file {} cannot be read", file.display());
            return Err(anyhow!(error).context(what).into());
        }
    };
    let refused = |what| {
        StartError::Configuration(anyhow!(
            "{} {what}, and this database has no admin key: remove the file, and the next start makes a key",
            file.display()
        ))
    };
    let pak: Pak = text
        .trim()
        .parse()
        .map_err(|_| refused("holds no whole key"))?;
    if pak.labelled() != Some(Role::Admin) {
        return Err(refused("holds a key that is no admin's"));
    }
    if pak.looks_made_up() {
        return Err(refused(
            "holds a key that was typed or copied from an example, which others may know",
        ));
    }
    std::fs::set_permissions(file, Permissions::from_mode(0o600)).map_err(anyhow::Error::from)?;
    Ok(Some(pak))
}

/// Makes another admin key in the database of a broker, which may be running.
pub(crate) async fn another(
    database: &str,
    name: Name,
    ambient: Arc<dyn Ambient>,
) -> anyhow::Result<Pak> {
    let db = Arc::new(Db::open_beside(database).await?);
    let used = store::broker::revision(&mut db.snapshot().await?).await;
    used.context("this is no database of a broker yet: start the broker first")?;
    let shutdown = CancellationToken::new();
    let (writer, writing) = Writer::new(
        Arc::clone(&db),
        ambient,
        Arc::default(),
        shutdown.clone(),
        Memory::default(),
    );
    let writing = tokio::spawn(writing);
    let create = CreateKey {
        owner: KeyOwner::Admin,
        name,
        expires_in: None,
        expires_at: None,
    };
    let made = writer.change(audit::local(ActorRole::Host), create).await;
    shutdown.cancel();
    writing.await.context("the writer died")??;
    db.close().await;
    let ((_, pak), _) = made?;
    Ok(pak)
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
    opened
        .sync_all()
        .and_then(|()| flush_folder(file))
        .with_context(cannot)?;
    Ok(pak)
}
