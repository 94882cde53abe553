use brokkr_core::wire::{Guard, Limits, Retention, Settings};
use sqlx::types::Json;

use super::{Tx, number, on, sql};
use crate::error::Result;

type Row = (Json<Retention>, Json<Limits>, Json<Guard>, i64);

/// The settings of this moment. A change that obeys one reads it in its own transaction, so that every replica
/// does at once.
pub(crate) async fn read(tx: &mut Tx) -> Result<Settings> {
    let row: Option<Row> = on!(tx, |c| sqlx::query_as(
        "select retention, limits, guard, edited_revision from settings where id = 1"
    )
    .fetch_optional(c)
    .await)?;
    Ok(row.map_or_else(
        Settings::default,
        |(Json(retention), Json(limits), Json(guard), revision)| Settings {
            revision: number(revision),
            retention,
            limits,
            guard,
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
