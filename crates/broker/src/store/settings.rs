use brokkr_core::wire::{Guard, Limits, Retention, Settings};
use sqlx::types::Json;

use super::{Tx, number, on, sql};
use crate::error::Result;

type Row = (Json<Retention>, Json<Limits>, Json<Guard>, bool, i64);

/// The settings of this moment. A change that obeys one reads it in its own transaction, so that every replica
/// does at once.
pub(crate) async fn read(tx: &mut Tx) -> Result<Settings> {
    let row: Option<Row> = on!(tx, |c| sqlx::query_as(
        "select retention, limits, guard, paused, edited_revision from settings where id = 1"
    )
    .fetch_optional(c)
    .await)?;
    Ok(row.map_or_else(
        Settings::default,
        |(Json(retention), Json(limits), Json(guard), paused, revision)| Settings {
            revision: number(revision),
            retention,
            limits,
            guard,
            paused,
        },
    ))
}

/// Replaces the settings.
pub(crate) async fn write(settings: &Settings, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| {
        sqlx::query(
        "insert into settings (id, retention, limits, guard, edited_revision) values (1, $1, $2, $3, $4)
         on conflict (id) do update set retention = excluded.retention, limits = excluded.limits, guard = excluded.guard,
             edited_revision = excluded.edited_revision"
    )
    .bind(Json(&settings.retention))
    .bind(Json(&settings.limits))
    .bind(Json(&settings.guard))
    .bind(sql(settings.revision))
    .execute(c)
    .await
    .map(drop)
    })?;
    Ok(())
}

/// Whether all agents are paused, and since which revision they are or are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct FleetPause {
    pub(crate) paused: bool,
    pub(crate) changed_revision: u64,
}

/// Reads whether all agents are paused.
pub(crate) async fn fleet_pause(tx: &mut Tx) -> Result<FleetPause> {
    let row: Option<(bool, i64)> = on!(tx, |c| sqlx::query_as(
        "select paused, paused_revision from settings where id = 1"
    )
    .fetch_optional(c)
    .await)?;
    Ok(
        row.map_or_else(FleetPause::default, |(paused, revision)| FleetPause {
            paused,
            changed_revision: number(revision),
        }),
    )
}

/// Pauses all agents, or resumes them.
pub(crate) async fn set_fleet_pause(pause: FleetPause, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "update settings set paused = $1, paused_revision = $2 where id = 1"
    )
    .bind(pause.paused)
    .bind(sql(pause.changed_revision))
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}
