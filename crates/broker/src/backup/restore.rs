use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use brokkr_core::ambient::Ambient;

use super::part::{Part, with_ending};
use super::swap::{self, SIDES};
use crate::StartError;
use crate::audit::verify_copy;
use crate::store::copy::{self, Settled, Standing};
use crate::store::{lock, sqlite_file};

/// Whether a restored database may take the place of one that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// It may, and the other one is put aside.
    Yes,
    /// It is refused.
    No,
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The history that the broker goes on with.
    pub standing: Standing,
    /// What was there before.
    pub replaced: Option<Replaced>,
}

/// A database that was put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// Where it is now. What lay beside it lies beside it still.
    pub file: PathBuf,
    /// None if it could not be read.
    pub standing: Option<Standing>,
}

/// Puts a backup into the place of a database that no broker has open. The backup is looked at whole before anything is
/// touched; cut short at any point, the old or the new one is there.
pub async fn restore(
    database: &str,
    from: &Path,
    replace: Replace,
    ambient: &dyn Ambient,
) -> Result<Restored, StartError> {
    let Some(database) = sqlite_file(database)? else {
        return Err(anyhow!(
            "PostgreSQL restores its own backups, into an empty database: pg_restore --exit-on-error --single-transaction --no-owner --dbname=\"$BROKKR_DATABASE\" {}",
            from.display()
        )
        .into());
    };
    refuse_what_is_in_use(from)?;
    let _lock = lock(database).context("nothing was restored")?;
    swap::forget_second_names(database).map_err(anyhow::Error::from)?;
    if replace == Replace::No && !swap::present(database).is_empty() {
        return Err(anyhow!(
            "{0} exists, or something of it: say --replace to put it aside under a name with the time, and the backup into its place",
            database.display()
        )
        .into());
    }
    let part = copy_of(from, database).await?;
    let standing = look_at(part.path())
        .await
        .with_context(|| format!("{} was not restored", from.display()))?;
    let replaced = put(part, database, ambient).await?;
    Ok(Restored { standing, replaced })
}

/// A database's own file without what lies beside it is an old or half one.
fn refuse_what_is_in_use(from: &Path) -> anyhow::Result<()> {
    let in_use = |side| std::fs::metadata(with_ending(from, side)).is_ok_and(|it| it.len() > 0);
    if SIDES.into_iter().any(in_use) {
        bail!(
            "{0} is in use, or was copied while it was: make a whole backup of it first, with `brokkr broker backup --database sqlite:{0} --to FILE`",
            from.display()
        );
    }
    Ok(())
}

async fn copy_of(from: &Path, database: &Path) -> anyhow::Result<Part> {
    let part = Part::begin(database)?;
    part.fill(from).await?;
    part.flush().await?;
    Ok(part)
}

async fn look_at(copy: &Path) -> anyhow::Result<Standing> {
    let standing = copy::look_at(copy).await?;
    verify_copy(copy).await?;
    Ok(standing)
}

async fn put(
    part: Part,
    database: &Path,
    ambient: &dyn Ambient,
) -> anyhow::Result<Option<Replaced>> {
    let is_there = database.symlink_metadata().is_ok();
    let settled = if is_there {
        part.belong_like(database).context(
            "the backup cannot be given to the owner of the database: run this as that user",
        )?;
        copy::settle(database).await?
    } else {
        Settled::Damaged
    };
    let present = swap::present(database);
    let time = ambient.now().strftime("%Y%m%dT%H%M%S%.3fZ").to_string();
    let aside = swap::aside(database, &time);
    for step in swap::steps(database, part.path(), &present, &aside) {
        step.take(database)
            .with_context(|| format!("the database cannot be replaced ({step:?})"))?;
    }
    Ok((!present.is_empty()).then_some(Replaced {
        file: aside,
        standing: match settled {
            Settled::Whole(standing) => standing,
            Settled::Damaged => None,
        },
    }))
}
