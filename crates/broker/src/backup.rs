//! Backups of a SQLite database, made beside a running broker, and the way back. PostgreSQL has its own.

mod part;
mod restore;
mod swap;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use brokkr_core::Epoch;
use brokkr_core::ambient::Ambient;
use jiff::Timestamp;
use serde::Serialize;

use self::part::Part;
pub(crate) use self::part::flush_folder;
pub use self::restore::{Replace, Replaced, Restored, restore};
use crate::StartError;
use crate::store::{copy, sqlite_file};

/// What was backed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backup {
    /// The backup.
    pub file: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Whose history it is.
    pub epoch: Epoch,
    /// The latest revision that it has.
    pub revision: u64,
    /// The backup has all that was acknowledged before.
    pub begun_at: Timestamp,
}

/// Whether a backup may take the place of a file that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    /// It may.
    Yes,
    /// It is refused.
    No,
}

/// Copies a database that a broker may be using into one file, as it is at one moment. The file is there when it is
/// whole and was looked at, and not before.
pub async fn back_up(
    database: &str,
    to: &Path,
    overwrite: Overwrite,
    ambient: &dyn Ambient,
) -> Result<Backup, StartError> {
    let Some(database) = sqlite_file(database)? else {
        return Err(anyhow::anyhow!(
            "PostgreSQL makes its own backups: pg_dump --format=custom --file={} \"$BROKKR_DATABASE\"",
            to.display()
        )
        .into());
    };
    let begun_at = ambient.now();
    refuse_to_overwrite(to, overwrite)?;
    let part = Part::begin(to)?;
    copy::copy_into(database, part.path()).await?;
    let standing = copy::look_at(part.path())
        .await
        .with_context(|| format!("{} was not backed up", database.display()))?;
    let bytes = part.flush().await?;
    refuse_to_overwrite(to, overwrite)?;
    part.take_its_place()?;
    Ok(Backup {
        file: to.to_owned(),
        bytes,
        epoch: standing.epoch,
        revision: standing.revision,
        begun_at,
    })
}

fn refuse_to_overwrite(to: &Path, overwrite: Overwrite) -> anyhow::Result<()> {
    if overwrite == Overwrite::No && to.symlink_metadata().is_ok() {
        bail!(
            "{} exists: name another file, or say --overwrite",
            to.display()
        );
    }
    Ok(())
}
