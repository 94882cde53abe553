mod patience;

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, PgPool, Postgres, Sqlite, SqlitePool, Transaction};

use super::copy::unchanging;
use super::on;
use super::schema::{self, POSTGRES, SQLITE};
use crate::error::Result;
pub(crate) use patience::in_time;
use patience::{BEGIN_WRITE, LONG_ANSWER, begin, bounded, checked};

/// The first version of SQLite that keeps what it acknowledged in WAL mode under every
/// interleaving of checkpoints (sqlite.org, "WAL-reset bug", fixed in 3.51.3).
const SQLITE_AT_LEAST: (u32, u32, u32) = (3, 51, 3);

/// Connections for reads.
const READERS: u32 = 4;

/// How many rows SQLite reads before somebody takes them.
const ROWS_AHEAD: usize = 1_000;

/// The database.
pub(crate) struct Db {
    pools: Pools,
    reads: AtomicU64,
}

enum Pools {
    Sqlite {
        read: SqlitePool,
        write: SqlitePool,
        /// Held for as long as the broker runs: a second one would have its own view of the truth.
        _lock: Option<File>,
    },
    Postgres {
        read: PgPool,
        write: PgPool,
    },
}

/// A transaction on either engine.
pub(crate) enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    /// With how long each answer may take.
    Postgres(Transaction<'static, Postgres>, Duration),
}

impl Db {
    /// Opens the database that a URL names (`sqlite:FILE` or `postgres://…`), and brings its tables up to date. `SQLite` keeps so many
    /// bytes of its file in memory to write.
    pub(crate) async fn open(url: &str, pages: usize) -> anyhow::Result<Self> {
        Ok(Self::new(match engine(url)? {
            Engine::Sqlite(file) => open_sqlite(file, pages).await?,
            Engine::Postgres(url) => open_postgres(url).await?,
        }))
    }

    /// Opens the database of a broker that may be running, for one change.
    pub(crate) async fn open_beside(url: &str) -> anyhow::Result<Self> {
        Ok(Self::new(match engine(url)? {
            Engine::Sqlite(file) => open_sqlite_beside(file).await?,
            Engine::Postgres(url) => connect_postgres(url).await?,
        }))
    }

    const fn new(pools: Pools) -> Self {
        Self {
            pools,
            reads: AtomicU64::new(0),
        }
    }

    /// Opens a database that is there, to read it beside a broker that runs.
    pub(crate) async fn open_to_read(url: &str) -> anyhow::Result<Self> {
        let pools = if let Some(file) = url.strip_prefix("sqlite:") {
            let pool = bounded(1)
                .connect_with(sqlite_options(Path::new(file)).read_only(true))
                .await
                .with_context(|| format!("the database file {file} cannot be opened"))?;
            Pools::Sqlite {
                read: pool.clone(),
                write: pool,
                _lock: None,
            }
        } else {
            let pool: PgPool = checked(1).connect(url).await.context(UNREACHABLE)?;
            Pools::Postgres {
                read: pool.clone(),
                write: pool,
            }
        };
        Ok(Self::new(pools))
    }

    /// Opens a file of SQLite that nobody writes.
    pub(crate) async fn open_copy(file: &Path) -> anyhow::Result<Self> {
        let pool = bounded(1).connect_with(unchanging(file)).await?;
        Ok(Self::new(Pools::Sqlite {
            read: pool.clone(),
            write: pool,
            _lock: None,
        }))
    }

    /// A read-only view of one moment.
    pub(crate) async fn read(&self) -> Result<Tx> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.snapshot().await
    }

    /// What [`Db::read`] gives, for the follower, which is nobody's request.
    pub(crate) async fn snapshot(&self) -> Result<Tx> {
        Ok(match &self.pools {
            Pools::Sqlite { read, .. } => Tx::Sqlite(read.begin().await?),
            Pools::Postgres { read, .. } => {
                begin(read, "begin isolation level repeatable read read only").await?
            }
        })
    }

    /// A transaction that writes; only the writer task asks for one.
    pub(crate) async fn write(&self) -> Result<Tx> {
        Ok(match &self.pools {
            // A deferred transaction that turns to writing fails at once when another one wrote meanwhile.
            Pools::Sqlite { write, .. } => Tx::Sqlite(write.begin_with("begin immediate").await?),
            Pools::Postgres { write, .. } => begin(write, BEGIN_WRITE).await?,
        })
    }

    /// How many reads requests have made: a poll of an unchanged agent makes none.
    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// A way to a connection of its own, to listen for other replicas' changes; none on SQLite. One that hangs takes nothing
    /// from those who read.
    pub(crate) fn to_listen(&self) -> Option<PgPool> {
        match &self.pools {
            Pools::Sqlite { .. } => None,
            Pools::Postgres { read, .. } => {
                let options = PgConnectOptions::clone(&read.connect_options());
                Some(bounded(1).connect_lazy_with(options))
            }
        }
    }

    pub(crate) async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { read, write, .. } => {
                read.close().await;
                write.close().await;
            }
            Pools::Postgres { read, write } => {
                read.close().await;
                write.close().await;
            }
        }
    }
}

impl Tx {
    pub(crate) async fn commit(self) -> Result<()> {
        match self {
            Self::Sqlite(tx) => tx.commit().await?,
            Self::Postgres(tx, patience) => in_time(patience, tx.commit()).await?,
        }
        Ok(())
    }

    /// What is asked from here on reads whole tables.
    pub(crate) const fn may_take_long(&mut self) {
        if let Self::Postgres(_, patience) = self {
            *patience = LONG_ANSWER;
        }
    }

    /// Marks the point to which a refused change is undone.
    pub(crate) async fn savepoint(&mut self) -> Result<()> {
        self.execute("savepoint change").await
    }

    /// Keeps what was done since the savepoint, and marks the next one.
    pub(crate) async fn next_savepoint(&mut self) -> Result<()> {
        self.execute("release savepoint change; savepoint change")
            .await
    }

    /// Undoes what was done since the savepoint, which stays.
    pub(crate) async fn undo(&mut self) -> Result<()> {
        self.execute("rollback to savepoint change").await
    }

    /// Runs statements that bring nothing along and answer nothing.
    pub(crate) async fn execute(&mut self, statements: &'static str) -> Result<()> {
        on!(self, |c| sqlx::raw_sql(statements)
            .execute(c)
            .await
            .map(drop))?;
        Ok(())
    }
}

/// The database that a URL names.
enum Engine<'a> {
    Sqlite(&'a Path),
    Postgres(&'a str),
}

fn engine(url: &str) -> anyhow::Result<Engine<'_>> {
    if let Some(file) = url.strip_prefix("sqlite:") {
        if file.is_empty() || file == ":memory:" {
            bail!("the database must be a file: write `sqlite:FILE`");
        }
        Ok(Engine::Sqlite(Path::new(file)))
    } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        Ok(Engine::Postgres(url))
    } else {
        bail!("the database must be `sqlite:FILE` or `postgres://…`");
    }
}

/// The file of a database on SQLite; none if it is on PostgreSQL.
pub(crate) fn sqlite_file(url: &str) -> anyhow::Result<Option<&Path>> {
    Ok(match engine(url)? {
        Engine::Sqlite(file) => Some(file),
        Engine::Postgres(_) => None,
    })
}

async fn open_sqlite(file: &Path, pages: usize) -> anyhow::Result<Pools> {
    let lock = lock(file)?;
    private_file(file)?;
    let options = durable(file);
    let cache = format!("-{}", pages / 1024);
    let to_write = options.clone().pragma("cache_size", cache);
    let write = writing()
        .connect_with(to_write.create_if_missing(true))
        .await
        .with_context(|| format!("the database file {} cannot be opened", file.display()))?;
    let (version,): (String,) = sqlx::query_as("select sqlite_version()")
        .fetch_one(&write)
        .await?;
    check_sqlite(&version)?;
    SQLITE
        .run(&write)
        .await
        .context("the database's tables cannot be brought up to date")?;
    schema::check(
        sqlx::query_scalar(schema::FLOOR).fetch_one(&write).await?,
        &SQLITE,
    )?;
    // After a failed flush or a kill the log may have changes that are nowhere else but in memory. From here on they are in the
    // database, and on the disk.
    sqlx::query("pragma wal_checkpoint(truncate)")
        .execute(&write)
        .await?;
    let read = bounded(READERS)
        .connect_with(options.read_only(true))
        .await?;
    Ok(Pools::Sqlite {
        read,
        write,
        _lock: Some(lock),
    })
}

/// Takes no lock, and leaves the tables as they are.
async fn open_sqlite_beside(file: &Path) -> anyhow::Result<Pools> {
    let write = writing()
        .connect_with(durable(file))
        .await
        .with_context(|| {
            format!(
                "there is no database in {}: name the broker's own with --database",
                file.display()
            )
        })?;
    let options = durable(file).read_only(true);
    let read = bounded(1).connect_with(options).await?;
    Ok(Pools::Sqlite {
        read,
        write,
        _lock: None,
    })
}

/// The one connection that writes. When its disk is full, SQLite undoes the transaction by itself, and the driver goes on
/// believing that there is one: nothing could ever begin again.
fn writing() -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(1)
        .after_release(|connection, _| {
            Box::pin(async move {
                // What is to be undone comes first.
                connection.ping().await?;
                Ok(!connection.is_in_transaction())
            })
        })
}

/// To write: what was acknowledged must survive.
fn durable(file: &Path) -> SqliteConnectOptions {
    sqlite_options(file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
}

pub(super) fn sqlite_options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::from_str(&format!("sqlite:{}", file.display()))
        .unwrap_or_else(|_| SqliteConnectOptions::new())
        .filename(file)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        // Rows cross from the thread of the connection to the task that reads them: the fewer times, the faster.
        .row_buffer_size(ROWS_AHEAD)
        .pragma("cell_size_check", "on")
}

/// Keeps brokers out for as long as the answer lives.
pub(crate) fn lock(database: &Path) -> anyhow::Result<File> {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    let file = private_file(Path::new(&path))?;
    if file.try_lock().is_err() {
        bail!(
            "another broker has {} open: stop it first, or use PostgreSQL for several brokers",
            database.display()
        );
    }
    Ok(file)
}

/// Makes a file that only its owner reads, for manifests may hold secrets. SQLite gives the files that it
/// puts beside the database the same rights.
fn private_file(path: &Path) -> anyhow::Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .with_context(|| {
            format!(
                "{} cannot be written: does its folder exist?",
                path.display()
            )
        })
}

fn check_sqlite(version: &str) -> anyhow::Result<()> {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    let found: (u32, u32, u32) = (next(), next(), next());
    if found < SQLITE_AT_LEAST {
        bail!("SQLite {version} may lose acknowledged writes: build with 3.51.3 or newer");
    }
    Ok(())
}

/// The URL may hold a password: it is in no message.
const UNREACHABLE: &str =
    "the PostgreSQL database cannot be reached: check the URL, the server and its users";

async fn open_postgres(url: &str) -> anyhow::Result<Pools> {
    let pools = connect_postgres(url).await?;
    if let Pools::Postgres { write, .. } = &pools {
        POSTGRES
            .run(write)
            .await
            .context("the database's tables cannot be brought up to date")?;
        schema::check(
            sqlx::query_scalar(schema::FLOOR).fetch_one(write).await?,
            &POSTGRES,
        )?;
    }
    Ok(pools)
}

async fn connect_postgres(url: &str) -> anyhow::Result<Pools> {
    let write: PgPool = checked(2).connect(url).await.context(UNREACHABLE)?;
    let (version,): (i32,) = sqlx::query_as("select current_setting('server_version_num')::int")
        .fetch_one(&write)
        .await?;
    if version < 150_000 {
        bail!(
            "PostgreSQL 15 or newer is needed; this server is of version {}",
            version / 10_000
        );
    }
    let read = checked(READERS).connect(url).await.context(UNREACHABLE)?;
    Ok(Pools::Postgres { read, write })
}
