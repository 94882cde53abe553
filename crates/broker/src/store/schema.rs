//! Bringing tables up to date, and living with those that a newer version has brought further.
//!
//! A step must leave the tables usable for the version before: it adds, and takes away only what that one does not use any more. So
//! brokers of two versions serve one database while a fleet of them is upgraded, or put back. A step that cannot do so raises
//! `schema_floor`.

use std::sync::LazyLock;

use anyhow::ensure;
use sqlx::migrate::Migrator;

pub(super) static SQLITE: LazyLock<Migrator> =
    LazyLock::new(|| lenient(sqlx::migrate!("../../migrations/sqlite")));
pub(super) static POSTGRES: LazyLock<Migrator> =
    LazyLock::new(|| lenient(sqlx::migrate!("../../migrations/postgres")));

/// Asks for the step that a broker must know at least.
pub(super) const FLOOR: &str = "select migration from schema_floor";

/// Refuses tables that are too new, by the floor that they have.
pub(super) fn check(floor: i64, known: &Migrator) -> anyhow::Result<()> {
    let newest = known.iter().map(|migration| migration.version).max();
    ensure!(
        newest >= Some(floor),
        "the database is of a newer version of Brokkr, whose tables this one does not understand: start that one, or restore a backup of before"
    );
    Ok(())
}

fn lenient(mut migrator: Migrator) -> Migrator {
    migrator.set_ignore_missing(true);
    migrator
}
