use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use crate::{Proxy, unique};

/// The two engines that every story is told on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engine {
    /// The embedded default.
    Sqlite,
    /// For several replicas.
    Postgres,
}

/// A fresh database, which goes with this value.
pub struct Database {
    engine: Engine,
    url: String,
}

impl Database {
    /// Makes one: a file in `directory`, or a database on the server for tests.
    pub async fn create(engine: Engine, directory: &Path) -> Result<Self> {
        let url = match engine {
            Engine::Sqlite => format!("sqlite:{}", directory.join("brokkr.db").display()),
            Engine::Postgres => {
                let server = server()?;
                let name = format!("brokkr_{}", unique());
                run(&server, format!("create database {name}")).await?;
                let (host, _) = server.rsplit_once('/').context("a URL with a database")?;
                format!("{host}/{name}")
            }
        };
        Ok(Self { engine, url })
    }

    /// What `--database` takes.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What `--database` takes to reach it through a proxy that stands before [`Self::server`].
    pub fn url_through(&self, proxy: &Proxy) -> Result<String> {
        let server = self.server()?.to_string();
        Ok(self.url.replace(&server, &proxy.address().to_string()))
    }

    /// Where the server of PostgreSQL listens.
    pub fn server(&self) -> Result<SocketAddr> {
        let (_, rest) = self.url.rsplit_once('@').context("a user")?;
        let (address, _) = rest.split_once('/').context("a database")?;
        Ok(address.parse()?)
    }

    /// Ends all connections to it, on PostgreSQL, and refuses new ones or takes them again: as a server that ends and comes
    /// back.
    pub async fn allow_connections(&self, allowed: bool) -> Result<()> {
        let name = self.name();
        let rights = format!("alter database {name} allow_connections {allowed}");
        run(&server()?, rights).await?;
        let end = format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
        );
        run(&server()?, end).await
    }

    /// Begins to write a file of SQLite, as another program does. Until the answer is dropped, nobody else can.
    pub async fn begin_to_write(&self) -> Result<SqliteConnection> {
        let mut connection = SqliteConnection::connect(&self.url).await?;
        sqlx::raw_sql("begin immediate")
            .execute(&mut connection)
            .await?;
        Ok(connection)
    }

    /// Which engine it is on.
    pub const fn engine(&self) -> Engine {
        self.engine
    }

    /// Gives the database the identity of another one, as after a replacement. No broker may have it open.
    pub async fn become_another(&self) -> Result<()> {
        let id = match self.engine {
            Engine::Sqlite => "randomblob(16)",
            Engine::Postgres => "gen_random_uuid()",
        };
        self.execute(&format!("update broker set epoch = {id}"))
            .await
    }

    /// Makes a copy of it as it is now, which [`Self::bring_back`] brings. No broker may have it open.
    pub async fn copy(&self) -> Result<()> {
        match self.engine {
            Engine::Sqlite => {
                std::fs::copy(self.file()?, self.file()?.with_extension("aside"))?;
                Ok(())
            }
            Engine::Postgres => {
                let name = self.name();
                let sql = format!("create database {name}_aside template {name}");
                run(&server()?, sql).await
            }
        }
    }

    /// Another one with all that is in it; a file lies in `directory`. No broker may have it open.
    pub async fn twin(&self, directory: &Path) -> Result<Self> {
        if self.engine == Engine::Sqlite {
            let twin = Self::create(self.engine, directory).await?;
            std::fs::copy(self.file()?, twin.file()?)?;
            return Ok(twin);
        }
        let server = server()?;
        let name = format!("brokkr_{}", unique());
        let sql = format!("create database {name} template {}", self.name());
        run(&server, sql).await?;
        let (host, _) = server.rsplit_once('/').context("a URL with a database")?;
        let (engine, url) = (self.engine, format!("{host}/{name}"));
        Ok(Self { engine, url })
    }

    /// Puts it aside, so that an empty one is in its place. No broker may have it open.
    pub async fn put_aside(&self) -> Result<()> {
        match self.engine {
            Engine::Sqlite => {
                let file = self.file()?;
                Ok(std::fs::rename(file, file.with_extension("aside"))?)
            }
            Engine::Postgres => {
                let name = self.name();
                let rename = format!("alter database {name} rename to {name}_aside");
                run(&server()?, rename).await?;
                run(&server()?, format!("create database {name}")).await
            }
        }
    }

    /// Drops it, and brings back what was copied or put aside. No broker may have it open.
    pub async fn bring_back(&self) -> Result<()> {
        match self.engine {
            Engine::Sqlite => {
                let file = self.file()?;
                Ok(std::fs::rename(file.with_extension("aside"), file)?)
            }
            Engine::Postgres => {
                let name = self.name();
                let drop = format!("drop database {name} with (force)");
                run(&server()?, drop).await?;
                let rename = format!("alter database {name}_aside rename to {name}");
                run(&server()?, rename).await
            }
        }
    }

    /// The file of one on SQLite.
    pub fn file(&self) -> Result<&Path> {
        Ok(Path::new(
            self.url.strip_prefix("sqlite:").context("a file")?,
        ))
    }

    /// What the server calls it.
    pub fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }

    /// Runs a statement behind the broker's back, as somebody does who has the database. Refusals are the engine's.
    pub async fn execute(&self, sql: &str) -> Result<()> {
        match self.engine {
            Engine::Sqlite => {
                let mut connection = SqliteConnection::connect(&self.url).await?;
                sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
                    .execute(&mut connection)
                    .await?;
                Ok(connection.close().await?)
            }
            Engine::Postgres => run(&self.url, sql.to_owned()).await,
        }
    }

    /// The texts that a query answers.
    pub async fn strings(&self, sql: &str) -> Result<Vec<String>> {
        let sql = AssertSqlSafe(sql.to_owned());
        Ok(match self.engine {
            Engine::Sqlite => {
                let mut connection = SqliteConnection::connect(&self.url).await?;
                let strings = sqlx::query_scalar(sql).fetch_all(&mut connection).await?;
                connection.close().await?;
                strings
            }
            Engine::Postgres => {
                let connection = PgConnection::connect(&self.url).await;
                let mut connection = connection.context("the test PostgreSQL")?;
                sqlx::query_scalar(sql).fetch_all(&mut connection).await?
            }
        })
    }

    /// Every row of every table as a text, with the table's name. A file of SQLite is searched as it lies.
    pub(crate) async fn texts(&self) -> Result<Vec<(String, String)>> {
        if self.engine == Engine::Sqlite {
            return Ok(Vec::new());
        }
        let tables = "select tablename::text from pg_tables where schemaname = 'public'";
        let mut texts = Vec::new();
        for table in self.strings(tables).await? {
            let rows = self
                .strings(&format!("select t::text from {table} t"))
                .await?;
            texts.extend(rows.into_iter().map(|row| (table.clone(), row)));
        }
        Ok(texts)
    }

    /// The engine's own word that its file is whole; PostgreSQL offers none.
    pub async fn check_integrity(&self) -> Result<()> {
        if self.engine == Engine::Postgres {
            return Ok(());
        }
        Self::check_file(self.file()?).await
    }

    /// The same of a file of SQLite.
    pub(crate) async fn check_file(file: &Path) -> Result<()> {
        let url = format!("sqlite:{}?mode=ro", file.display());
        let mut connection = SqliteConnection::connect(&url).await?;
        let verdict: String = sqlx::query_scalar("pragma integrity_check")
            .fetch_one(&mut connection)
            .await?;
        ensure!(verdict == "ok", "PRAGMA integrity_check: {verdict}");
        Ok(())
    }
}

impl Drop for Database {
    /// A server may be somebody's own: nothing is left on it.
    fn drop(&mut self) {
        if self.engine == Engine::Sqlite {
            return;
        }
        let name = self.name().to_owned();
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(run(
                &server()?,
                format!("drop database {name} with (force)"),
            ))
        });
        if let Ok(Err(error)) = dropped.join() {
            eprintln!("a test database stays behind: {error:#}");
        }
    }
}

fn server() -> Result<String> {
    std::env::var("BROKKR_TEST_POSTGRES")
        .context("BROKKR_TEST_POSTGRES is not set: make test, or scripts/testbed CMD")
}

async fn run(server: &str, sql: String) -> Result<()> {
    // The address has a password in it, so no error may show it.
    let mut connection = PgConnection::connect(server)
        .await
        .context("the test PostgreSQL")?;
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut connection)
        .await?;
    Ok(())
}
