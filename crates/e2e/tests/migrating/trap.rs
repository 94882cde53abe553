//! What holds a broker at the n-th statement of its migrations.

use anyhow::{Context, Result, ensure};
use brokkr_e2e::{Database, PATIENCE, eventually};
use sqlx::{Connection, PgConnection};

/// The number of the lock that the statement waits for.
const LOCK: i64 = 1_312;

/// Counts what changes tables, and the migrations' own notes of it; the one at the place waits until the trap is open.
pub struct Trap<'a> {
    database: &'a Database,
    /// Has the lock.
    session: PgConnection,
}

impl<'a> Trap<'a> {
    pub async fn set(database: &'a Database, place: i64) -> Result<Self> {
        let mut session = PgConnection::connect(database.url()).await?;
        sqlx::query("select pg_advisory_lock($1)")
            .bind(LOCK)
            .execute(&mut session)
            .await?;
        database.execute(&format!(
            "create schema trap;
             create sequence trap.statement;
             create function trap.comes() returns void language plpgsql as $$ begin
                 if nextval('trap.statement') = {place} then perform pg_advisory_xact_lock({LOCK}); end if;
             end $$;
             create function trap.by_definition() returns event_trigger language plpgsql as $$ begin
                 perform trap.comes();
             end $$;
             create function trap.by_note() returns trigger language plpgsql as $$ begin
                 perform trap.comes(); return null;
             end $$;
             create trigger trap before insert or update on _sqlx_migrations
                 for each statement execute function trap.by_note();
             create event trigger trap on ddl_command_start execute function trap.by_definition();"
        )).await?;
        Ok(Self { database, session })
    }

    /// How many statements came.
    pub async fn statements(&self) -> Result<i64> {
        let last = self
            .database
            .strings("select last_value::text from trap.statement")
            .await?
            .pop();
        Ok(last.context("a number")?.parse()?)
    }

    /// Waits until so many brokers wait: one in the trap, others for their turn.
    pub async fn holds(&self, brokers: usize) -> Result<()> {
        eventually("a broker waits", PATIENCE, async || {
            let waiting = self.database.strings(
                "select objid::text from pg_locks where locktype = 'advisory' and not granted
                 and database = (select oid from pg_database where datname = current_database())",
            );
            let waiting = waiting.await?;
            ensure!(
                waiting.len() == brokers && waiting.contains(&LOCK.to_string()),
                "{waiting:?}"
            );
            Ok(())
        })
        .await
    }

    /// Lets whoever is in it go.
    pub async fn unlock(self) -> Result<()> {
        Ok(self.session.close().await?)
    }

    /// Lets go, waits until nobody is connected any more, and takes the trap away.
    pub async fn open(self) -> Result<()> {
        let database = self.database;
        self.unlock().await?;
        eventually("the sessions of the dead end", PATIENCE, async || {
            let others = database.strings(
                "select coalesce(query, '') from pg_stat_activity where datname = current_database()
                 and pid <> pg_backend_pid() and backend_type = 'client backend'",
            );
            let others = others.await?;
            ensure!(others.is_empty(), "{others:?}");
            Ok(())
        })
        .await?;
        database
            .execute("drop event trigger trap; drop schema trap cascade")
            .await
    }
}
