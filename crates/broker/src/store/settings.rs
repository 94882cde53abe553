use brokkr_core::wire::{Limits, Retention, Settings};
use sqlx::types::Json;

use super::{Tx, number, on, sql};
use crate::error::Result;

/// The settings of this moment. A change that obeys one reads it in its own transaction, so that every replica
/// does at once.
pub(crate) async fn read(tx: &mut Tx) -> Result<Settings> {
    let row: Option<(Json<Retention>, Json<Limits>, i64)> = on!(tx, |c| sqlx::query_as(
        "select retention, limits, edited_revision from settings where id = 1"
    )
    .fetch_optional(c)
    .await)?;
    Ok(row.map_or_else(
        Settings::default,
        |(Json(retention), Json(limits), revision)| Settings {
            revision: number(revision),
            retention,
            limits,
        },
    ))
}

/// Replaces the settings.
pub(crate) async fn write(settings: &Settings, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "insert into settings (id, retention, limits, edited_revision) values (1, $1, $2, $3)
         on conflict (id) do update set retention = excluded.retention, limits = excluded.limits,
             edited_revision = excluded.edited_revision"
    )
    .bind(Json(&settings.retention))
    .bind(Json(&settings.limits))
    .bind(sql(settings.revision))
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}
