//! Bringing tables up to date, and living with those that a newer version has brought further.
//!
//! A step must leave the tables usable for the version before: it adds, and takes away only what that one does not use any more. So
//! brokers of two versions serve one database while a fleet of them is upgraded, or put back. A step that cannot do so raises
//! `schema_floor`. What is kept as JSON is read by the version before too, which refuses fields that it does not know rather than to
//! overlook them: those that nobody has set are left out.

use std::sync::LazyLock;

use anyhow::ensure;
use serde::Serialize;
use serde_json::Value;
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

/// Those fields of a value that differ from its default.
pub(super) fn what_is_set<T: Serialize + Default>(value: &T) -> serde_json::Result<Value> {
    let mut fields = serde_json::to_value(value)?;
    let default = serde_json::to_value(T::default())?;
    if let Some(fields) = fields.as_object_mut() {
        fields.retain(|name, value| default.get(name) != Some(value));
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Serialize)]
    struct Options {
        old: u32,
        new: Option<u32>,
        on: bool,
    }

    impl Default for Options {
        fn default() -> Self {
            Self {
                old: 1,
                new: None,
                on: true,
            }
        }
    }

    #[test]
    fn what_nobody_has_set_is_left_out() {
        let set = |options| what_is_set(&options).expect("JSON");
        assert_eq!(set(Options::default()), json!({}));
        let options = Options {
            new: Some(2),
            ..Options::default()
        };
        assert_eq!(set(options), json!({"new": 2}));
        let options = Options {
            old: 0,
            on: false,
            ..Options::default()
        };
        assert_eq!(set(options), json!({"old": 0, "on": false}));
    }

    #[test]
    fn tables_are_too_new_by_their_floor_alone() {
        let newest = SQLITE
            .iter()
            .map(|step| step.version)
            .max()
            .expect("a step");
        assert!(check(newest, &SQLITE).is_ok());
        assert!(check(newest + 1, &SQLITE).is_err());
    }
}
