use brokkr_core::Epoch;
use brokkr_core::wire::AcceptedEpoch;
use jiff_sqlx::ToSqlx;
use uuid::Uuid;

use super::{Tx, number, on, sql};
use crate::error::Result;

/// The histories that this one was declared to continue, the oldest acceptance first.
pub(crate) async fn accepted(tx: &mut Tx) -> Result<Vec<AcceptedEpoch>> {
    let rows: Vec<(Uuid, jiff_sqlx::Timestamp, i64)> = on!(tx, |c| sqlx::query_as(
        "select epoch, accepted_at, revision from accepted_epochs order by revision"
    )
    .fetch_all(c)
    .await)?;
    let accepted = rows.into_iter().map(|(epoch, at, revision)| AcceptedEpoch {
        epoch: epoch.into(),
        accepted_at: at.to_jiff(),
        revision: number(revision),
    });
    Ok(accepted.collect())
}

/// Whose history this is.
pub(crate) async fn current(tx: &mut Tx) -> Result<Epoch> {
    let (epoch,): (Uuid,) = on!(tx, |c| sqlx::query_as("select epoch from broker")
        .fetch_one(c)
        .await)?;
    Ok(epoch.into())
}

pub(crate) async fn insert(accepted: &AcceptedEpoch, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "insert into accepted_epochs (epoch, accepted_at, revision) values ($1, $2, $3)"
    )
    .bind(accepted.epoch.uuid())
    .bind(accepted.accepted_at.to_sqlx())
    .bind(sql(accepted.revision))
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}
