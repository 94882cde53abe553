use brokkr_core::name::Reference;
use brokkr_core::{AgentId, Name};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use uuid::Uuid;

use super::{Tx, Word, number, on, sql};
use crate::error::{Error, Result, name_taken};
use crate::page::Window;

/// Every question about agents reads the same columns.
macro_rules! select_agents {
    ($rest:literal) => {
        concat!(
            "select id, name, created_at, changed_revision, last_seen, interval_seconds from agents",
            " ",
            $rest
        )
    };
}

/// An agent as the database keeps it.
#[derive(Debug, Clone)]
pub(crate) struct AgentRow {
    pub(crate) id: AgentId,
    pub(crate) name: Name,
    pub(crate) created_at: Timestamp,
    /// The last revision that changed its targets or removals.
    pub(crate) changed_revision: u64,
    pub(crate) heartbeat: Option<Heartbeat>,
}

/// The last poll of an agent, and how soon it promised the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    pub(crate) at: Timestamp,
    pub(crate) interval_seconds: u64,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: Word<Name>,
    created_at: jiff_sqlx::Timestamp,
    changed_revision: i64,
    last_seen: Option<jiff_sqlx::Timestamp>,
    interval_seconds: i64,
}

impl From<Row> for AgentRow {
    fn from(row: Row) -> Self {
        let interval_seconds = number(row.interval_seconds);
        Self {
            id: row.id.into(),
            name: row.name.0,
            created_at: row.created_at.to_jiff(),
            changed_revision: number(row.changed_revision),
            heartbeat: row.last_seen.map(|at| Heartbeat {
                at: at.to_jiff(),
                interval_seconds,
            }),
        }
    }
}

pub(crate) async fn insert(agent: &AgentRow, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "insert into agents (id, name, created_at, changed_revision) values ($1, $2, $3, $4)"
    )
    .bind(agent.id.uuid())
    .bind(agent.name.as_str())
    .bind(agent.created_at.to_sqlx())
    .bind(sql(agent.changed_revision))
    .execute(c)
    .await
    .map(drop))
    .map_err(name_taken(&agent.name))
}

pub(crate) async fn find(reference: &Reference, tx: &mut Tx) -> Result<AgentRow> {
    let row: Option<Row> = match reference {
        Reference::Id(id) => on!(tx, |c| sqlx::query_as(select_agents!(
            "where id = $1 and deleted_at is null"
        ))
        .bind(id)
        .fetch_optional(c)
        .await)?,
        Reference::Named { owner: Some(_), .. } => None,
        Reference::Named { owner: None, name } => on!(tx, |c| sqlx::query_as(select_agents!(
            "where name = $1 and deleted_at is null"
        ))
        .bind(name.as_str())
        .fetch_optional(c)
        .await)?,
    };
    row.map(AgentRow::from).ok_or(Error::NotFound("agent"))
}

pub(crate) async fn list(window: &Window, tx: &mut Tx) -> Result<Vec<AgentRow>> {
    let rows: Vec<Row> = on!(tx, |c| sqlx::query_as(select_agents!(
        "where deleted_at is null and id > $1 order by id limit $2"
    ))
    .bind(window.after)
    .bind(window.rows())
    .fetch_all(c)
    .await)?;
    Ok(rows.into_iter().map(AgentRow::from).collect())
}

/// An agent that was not deleted.
pub(crate) async fn by_id(id: AgentId, tx: &mut Tx) -> Result<Option<AgentRow>> {
    match find(&Reference::Id(id.uuid()), tx).await {
        Ok(agent) => Ok(Some(agent)),
        Err(Error::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Every agent.
pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<AgentRow>> {
    let rows: Vec<Row> = on!(tx, |c| sqlx::query_as(select_agents!(
        "where deleted_at is null"
    ))
    .fetch_all(c)
    .await)?;
    Ok(rows.into_iter().map(AgentRow::from).collect())
}

pub(crate) async fn delete(id: AgentId, now: Timestamp, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "update agents set deleted_at = $2 where id = $1"
    )
    .bind(id.uuid())
    .bind(now.to_sqlx())
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// Notes that an agent's own state changed in this revision.
pub(crate) async fn mark_changed(id: AgentId, revision: u64, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "update agents set changed_revision = $2 where id = $1"
    )
    .bind(id.uuid())
    .bind(sql(revision))
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// Keeps an agent's last poll; an older one than is known changes nothing.
pub(crate) async fn record_heartbeat(id: AgentId, heartbeat: Heartbeat, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "update agents set last_seen = $2, interval_seconds = $3
         where id = $1 and (last_seen is null or last_seen < $2)"
    )
    .bind(id.uuid())
    .bind(heartbeat.at.to_sqlx())
    .bind(sql(heartbeat.interval_seconds))
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}
