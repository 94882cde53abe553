use anyhow::{Context, Result};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions, Connection, PgConnection};

use crate::{Database, Engine, repository};

/// A table and its columns.
pub struct Table {
    /// Its name.
    pub name: String,
    /// Their names, in order.
    pub columns: Vec<String>,
}

/// The tables as the migrations make them, one after the other.
impl Database {
    /// Brings it to what a broker made of it that knew no later migration.
    pub async fn migrate_to(&self, version: i64) -> Result<()> {
        let migrations = repository().join("migrations");
        match self.engine() {
            Engine::Sqlite => {
                let options = SqliteConnectOptions::new()
                    .filename(self.file()?)
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal);
                let mut connection = options.connect().await?;
                let migrator = Migrator::new(migrations.join("sqlite")).await?;
                migrator.run_to(version, &mut connection).await?;
                connection.close().await?;
            }
            Engine::Postgres => {
                let mut connection = PgConnection::connect(self.url()).await?;
                let migrator = Migrator::new(migrations.join("postgres")).await?;
                migrator.run_to(version, &mut connection).await?;
            }
        }
        Ok(())
    }

    /// The last migration that it has.
    pub async fn version(&self) -> Result<i64> {
        let version = "select cast(max(version) as text) from _sqlx_migrations where success";
        let version = self.strings(version).await?.pop();
        Ok(version.context("no migration")?.parse()?)
    }

    /// All that migrations make, in the engine's words.
    pub async fn schema(&self) -> Result<Vec<String>> {
        self.strings(match self.engine() {
            Engine::Sqlite => "select sql from sqlite_schema where sql is not null order by 1",
            Engine::Postgres => {
                "select concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default)
                 from information_schema.columns where table_schema = 'public'
                 union all select indexdef from pg_indexes where schemaname = 'public'
                 union all select concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid))
                 from pg_constraint where connamespace = 'public'::regnamespace
                 order by 1"
            }
        })
        .await
    }

    /// The tables with what they have now.
    pub async fn tables(&self) -> Result<Vec<Table>> {
        let columns = self.strings(match self.engine() {
            Engine::Sqlite => {
                "select t.name || '.' || c.name from sqlite_schema t, pragma_table_info(t.name) c
                 where t.type = 'table' and t.name <> '_sqlx_migrations' order by t.name, c.cid"
            }
            Engine::Postgres => {
                "select concat(table_name, '.', column_name) from information_schema.columns
                 where table_schema = 'public' and table_name <> '_sqlx_migrations'
                 order by table_name, ordinal_position"
            }
        });
        let mut tables: Vec<Table> = Vec::new();
        for column in columns.await? {
            let (name, column) = column.split_once('.').context("a column")?;
            match tables.last_mut().filter(|table| table.name == name) {
                Some(table) => table.columns.push(column.to_owned()),
                None => tables.push(Table {
                    name: name.to_owned(),
                    columns: vec![column.to_owned()],
                }),
            }
        }
        Ok(tables)
    }

    /// All rows of these columns, as the statements that write them.
    pub async fn rows(&self, tables: &[Table]) -> Result<Vec<String>> {
        let quote = match self.engine() {
            Engine::Sqlite => "quote",
            Engine::Postgres => "quote_nullable",
        };
        let selects = tables.iter().map(|Table { name, columns }| {
            let into = columns.join(", ");
            let values: Vec<_> = columns
                .iter()
                .map(|column| format!("{quote}({column})"))
                .collect();
            let values = values.join(" || ', ' || ");
            format!("select 'insert into {name} ({into}) values (' || {values} || ')' from {name}")
        });
        let selects: Vec<_> = selects.collect();
        self.strings(&format!("{} order by 1", selects.join(" union all ")))
            .await
    }

    /// Writes rows, in whatever order.
    pub async fn write(&self, rows: &[String]) -> Result<()> {
        let unrelated = match self.engine() {
            Engine::Sqlite => "pragma foreign_keys = off",
            Engine::Postgres => "set session_replication_role = replica",
        };
        self.execute(&format!("{unrelated}; {}", rows.join("; ")))
            .await
    }
}
