//! Copies of a whole SQLite database, as files of their own.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, anyhow, bail, ensure};
use brokkr_core::Epoch;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{ConnectOptions, Connection};

use super::db::{Db, sqlite_options};
use super::schema::{self, SQLITE};
use super::{broker, epochs};

/// Whose history a database is, and how far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The history.
    pub epoch: Epoch,
    /// Its latest revision.
    pub revision: u64,
}

/// Copies a database as it is at one moment into an empty file, beside whoever writes it.
pub(crate) async fn copy_into(database: &Path, copy: &Path) -> anyhow::Result<()> {
    let copy = std::path::absolute(copy)?;
    let copy = copy
        .to_str()
        .context("the name of the new file is no UTF-8: choose another")?;
    let options = sqlite_options(database).read_only(true);
    let mut connection = options.connect().await.with_context(|| {
        format!(
            "there is no database in {}: name the broker's own with --database",
            database.display()
        )
    })?;
    sqlx::query("vacuum into $1")
        .bind(copy)
        .execute(&mut connection)
        .await
        .context("the database cannot be copied: is there room on the disk?")?;
    Ok(connection.close().await?)
}

/// Looks whether a file that nobody writes is a whole database of a broker, which this version can go on with.
pub(crate) async fn look_at(copy: &Path) -> anyhow::Result<Standing> {
    let mut connection = unchanging(copy).connect().await?;
    let standing = look(&mut connection).await;
    connection.close().await?;
    standing?;
    let db = Db::open_copy(copy).await?;
    let standing = standing_of(&db).await;
    db.close().await;
    standing
}

/// A file that nobody writes: nothing is put beside it.
pub(super) fn unchanging(copy: &Path) -> SqliteConnectOptions {
    sqlite_options(copy).read_only(true).immutable(true)
}

async fn look(copy: &mut SqliteConnection) -> anyhow::Result<()> {
    let verdict: Vec<String> = sqlx::query_scalar("pragma integrity_check(1)")
        .fetch_all(&mut *copy)
        .await
        .context("it is no database, or a damaged one")?;
    ensure!(verdict == ["ok"], "it is damaged: {}", verdict.join("; "));
    let known: BTreeMap<i64, _> = SQLITE
        .iter()
        .map(|migration| (migration.version, &*migration.checksum))
        .collect();
    let steps: Vec<(i64, bool, Vec<u8>)> =
        sqlx::query_as("select version, success, checksum from _sqlx_migrations order by version")
            .fetch_all(&mut *copy)
            .await
            .map_err(|_| anyhow!("it is no database of a broker"))?;
    ensure!(!steps.is_empty(), "it is no database of a broker");
    let mut is_ahead = false;
    for (version, is_whole, checksum) in steps {
        match known.get(&version) {
            Some(known) if **known == *checksum && is_whole => {}
            Some(_) => bail!("its tables are not those of any version of Brokkr"),
            None => is_ahead = true,
        }
    }
    if is_ahead {
        let floor = sqlx::query_scalar(schema::FLOOR).fetch_one(copy).await?;
        schema::check(floor, &SQLITE)?;
    }
    Ok(())
}

async fn standing_of(db: &Db) -> anyhow::Result<Standing> {
    let mut tx = db.snapshot().await?;
    Ok(Standing {
        epoch: epochs::current(&mut tx)
            .await
            .context("it is the database of a broker that never ran")?,
        revision: broker::revision(&mut tx).await?,
    })
}

/// What a database is when it is to be put aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// One whole file with nothing beside it; of a broker, if it has a standing.
    Whole(Option<Standing>),
    /// None that SQLite can open.
    Damaged,
}

/// Brings all of a database into its one file. Fails while anybody has it open.
pub(crate) async fn settle(database: &Path) -> anyhow::Result<Settled> {
    // SQLite would take away what lies beside it.
    if !begins_like_one(database)? {
        return Ok(Settled::Damaged);
    }
    let options = sqlite_options(database).journal_mode(SqliteJournalMode::Delete);
    let shown = database.display();
    match options.connect().await {
        Ok(connection) => connection.close().await?,
        Err(error) => match primary_code(&error) {
            Some(BUSY | LOCKED) => {
                bail!("another program has {shown} open: end it first")
            }
            Some(CORRUPT | NOT_A_DATABASE) => return Ok(Settled::Damaged),
            _ => {
                return Err(anyhow!(error).context(format!(
                    "{shown} cannot be put in order: move it away yourself, with all that has its name and an ending"
                )));
            }
        },
    }
    let db = Db::open_copy(database).await?;
    let standing = standing_of(&db).await.ok();
    db.close().await;
    Ok(Settled::Whole(standing))
}

fn begins_like_one(file: &Path) -> std::io::Result<bool> {
    let mut first = Vec::new();
    File::open(file)?.take(16).read_to_end(&mut first)?;
    Ok(first == b"SQLite format 3\0")
}

const BUSY: u32 = 5;
const LOCKED: u32 = 6;
const CORRUPT: u32 = 11;
const NOT_A_DATABASE: u32 = 26;

fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let sqlx::Error::Database(cause) = error else {
        return None;
    };
    let extended: u32 = cause.code()?.parse().ok()?;
    Some(extended & 0xff)
}
