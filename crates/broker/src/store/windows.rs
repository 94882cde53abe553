use std::collections::HashMap;

use brokkr_core::bounded::OutOfBounds;
use brokkr_core::labels::{Annotations, Labels};
use brokkr_core::name::Reference;
use brokkr_core::targeting::AgentScope;
use brokkr_core::wire::{TargetWindow, Window, WindowMinutes, WindowRule};
use brokkr_core::{AgentId, Name, WindowId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Tx, Word, forget_before, number, on, sql};
use crate::error::{Error, Result, name_taken};

/// Every question about windows reads the same columns.
macro_rules! select_windows {
    ($rest:literal) => {
        concat!(
            "select w.id, w.name, w.edited_revision, w.agent_id, a.name as agent_name, w.scope, w.rule, w.cron, w.minutes,
                    w.zone, w.created_at
             from windows w left join agents a on a.id = w.agent_id
             where w.deleted_at is null",
            " ",
            $rest
        )
    };
}

/// A window as the database keeps it.
#[derive(Debug, Clone)]
pub(crate) struct WindowRow {
    pub(crate) window: Window,
    /// The one agent that it covers.
    pub(crate) agent: Option<AgentId>,
}

impl WindowRow {
    fn covers(&self, agent: AgentId, labels: &Labels, annotations: &Annotations) -> bool {
        let scope = self.window.scope.as_ref();
        self.agent == Some(agent) || scope.is_some_and(|scope| scope.reaches(labels, annotations))
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: Word<Name>,
    edited_revision: i64,
    agent_id: Option<Uuid>,
    agent_name: Option<Word<Name>>,
    scope: Option<Json<AgentScope>>,
    rule: Word<WindowRule>,
    cron: String,
    minutes: i64,
    zone: String,
    created_at: jiff_sqlx::Timestamp,
}

impl TryFrom<Row> for WindowRow {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let minutes = WindowMinutes::new(number(row.minutes));
        Ok(Self {
            agent: row.agent_id.map(Into::into),
            window: Window {
                id: row.id.into(),
                name: row.name.0,
                revision: number(row.edited_revision),
                agent: row.agent_name.map(|word| word.0),
                scope: row.scope.map(|Json(scope)| scope),
                rule: row.rule.0,
                cron: row.cron,
                minutes: minutes.map_err(|error: OutOfBounds| Error::internal(error))?,
                zone: row.zone,
                created_at: row.created_at.to_jiff(),
            },
        })
    }
}

pub(crate) async fn insert(row: &WindowRow, tx: &mut Tx) -> Result<()> {
    let window = &row.window;
    on!(tx, |c| sqlx::query(
        "insert into windows (id, name, agent_id, scope, rule, cron, minutes, zone, created_at, edited_revision)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
    )
    .bind(window.id.uuid())
    .bind(window.name.as_str())
    .bind(row.agent.map(AgentId::uuid))
    .bind(window.scope.as_ref().map(Json))
    .bind(Word(window.rule))
    .bind(window.cron.as_str())
    .bind(i64::from(window.minutes.get()))
    .bind(window.zone.as_str())
    .bind(window.created_at.to_sqlx())
    .bind(sql(window.revision))
    .execute(c)
    .await
    .map(drop))
    .map_err(name_taken(&window.name))
}

pub(crate) async fn find(reference: &Reference, tx: &mut Tx) -> Result<WindowRow> {
    let row: Option<Row> = match reference {
        Reference::Id(id) => on!(tx, |c| sqlx::query_as(select_windows!("and w.id = $1"))
            .bind(id)
            .fetch_optional(c)
            .await)?,
        Reference::Named { owner: Some(_), .. } => None,
        Reference::Named { owner: None, name } => {
            on!(tx, |c| sqlx::query_as(select_windows!("and w.name = $1"))
                .bind(name.as_str())
                .fetch_optional(c)
                .await)?
        }
    };
    row.ok_or(Error::NotFound("window"))?.try_into()
}

/// Every window, the oldest first. There are so few that nobody pages through them.
pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<WindowRow>> {
    let rows: Vec<Row> = on!(tx, |c| sqlx::query_as(select_windows!("order by w.id"))
        .fetch_all(c)
        .await)?;
    rows.into_iter().map(WindowRow::try_from).collect()
}

pub(crate) async fn delete(id: WindowId, now: Timestamp, revision: u64, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "update windows set deleted_at = $2, edited_revision = $3 where id = $1"
    )
    .bind(id.uuid())
    .bind(now.to_sqlx())
    .bind(sql(revision))
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// The last revision that created or deleted a window.
pub(crate) async fn changed_revision(tx: &mut Tx) -> Result<u64> {
    let (revision,): (i64,) = on!(tx, |c| sqlx::query_as(
        "select coalesce(max(edited_revision), 0) from windows"
    )
    .fetch_one(c)
    .await)?;
    Ok(number(revision))
}

/// Forgets windows that were deleted before a time: at most so many of them. Answers how many. The last one that was changed
/// stays: its revision is a part of that of every state.
pub(crate) async fn forget(before: Timestamp, rows: i64, tx: &mut Tx) -> Result<u64> {
    let statement = "delete from windows where id in (
         select id from windows where deleted_at < $1
           and edited_revision < (select max(edited_revision) from windows) limit $2
     )";
    forget_before(before, rows, statement, tx).await
}

/// What an agent with these labels and annotations is told of windows.
pub(crate) async fn covering(
    agent: AgentId,
    labels: &Labels,
    annotations: &Annotations,
    tx: &mut Tx,
) -> Result<Vec<TargetWindow>> {
    let all = all(tx).await?;
    Ok(told(&all, agent, labels, annotations))
}

/// What each agent is told of windows, if it is told of any.
pub(crate) async fn covering_each(tx: &mut Tx) -> Result<HashMap<AgentId, Vec<TargetWindow>>> {
    type Traits = (Uuid, Json<Labels>, Json<Annotations>);
    let all = all(tx).await?;
    if all.is_empty() {
        return Ok(HashMap::new());
    }
    let agents: Vec<Traits> = on!(tx, |c| sqlx::query_as(
        "select id, labels, annotations from agents where deleted_at is null"
    )
    .fetch_all(c)
    .await)?;
    let told = agents
        .into_iter()
        .map(|(id, Json(labels), Json(annotations))| {
            let agent = id.into();
            (agent, told(&all, agent, &labels, &annotations))
        });
    Ok(told.filter(|(_, windows)| !windows.is_empty()).collect())
}

fn told(
    all: &[WindowRow],
    agent: AgentId,
    labels: &Labels,
    annotations: &Annotations,
) -> Vec<TargetWindow> {
    let covering = all
        .iter()
        .filter(|row| row.covers(agent, labels, annotations));
    covering.map(|row| row.window.clone().told()).collect()
}
