use brokkr_core::Epoch;
use brokkr_core::wire::{AcceptedEpoch, Epochs, LostEpoch};
use jiff_sqlx::ToSqlx;
use uuid::Uuid;

use super::{Tx, changes, number, on, sql};
use crate::error::Result;

/// A place in a history: what an agent was told is proven by the place that it was told at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) epoch: Epoch,
    pub(crate) revision: u64,
    /// The random id of that revision.
    pub(crate) lineage: Uuid,
}

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

/// Which history this is, and how it hangs together with others.
pub(crate) async fn all(tx: &mut Tx) -> Result<Epochs> {
    Ok(Epochs {
        current: current(tx).await?,
        accepted: accepted(tx).await?,
        lost: lost(tx).await?,
    })
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

/// The histories that this one took the place of, the oldest first.
pub(crate) async fn lost(tx: &mut Tx) -> Result<Vec<LostEpoch>> {
    type Row = (Uuid, jiff_sqlx::Timestamp, i64, Uuid, Option<String>, i64);
    let rows: Vec<Row> = on!(tx, |c| {
        sqlx::query_as(
        "select e.epoch, e.lost_at, e.revision, e.agent_id, a.name, e.told from lost_epochs e left join agents a on a.id = e.agent_id order by e.revision, e.epoch"
    )
    .fetch_all(c)
    .await
    })?;
    let lost = rows
        .into_iter()
        .map(|(epoch, at, revision, agent, name, told)| LostEpoch {
            epoch: epoch.into(),
            lost_at: at.to_jiff(),
            revision: number(revision),
            agent: agent.into(),
            agent_name: name.and_then(|name| name.parse().ok()),
            told: number(told),
        });
    Ok(lost.collect())
}

pub(crate) async fn insert_lost(lost: &LostEpoch, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| {
        sqlx::query(
        "insert into lost_epochs (epoch, lost_at, revision, agent_id, told) values ($1, $2, $3, $4, $5)"
    )
    .bind(lost.epoch.uuid())
    .bind(lost.lost_at.to_sqlx())
    .bind(sql(lost.revision))
    .bind(lost.agent.uuid())
    .bind(sql(lost.told))
    .execute(c)
    .await
    .map(drop)
    })?;
    Ok(())
}

/// Whether a place lies in this history, or in one that is known to have ended.
pub(crate) async fn knows(place: Place, tx: &mut Tx) -> Result<bool> {
    if place.epoch == current(tx).await? {
        return Ok(changes::lineage(place.revision, tx).await? == place.lineage);
    }
    let ended: Option<(i32,)> = on!(tx, |c| {
        sqlx::query_as(
        "select 1 from accepted_epochs where epoch = $1 union select 1 from lost_epochs where epoch = $1"
    )
    .bind(place.epoch.uuid())
    .fetch_optional(c)
    .await
    })?;
    Ok(ended.is_some())
}
