use brokkr_core::labels::{Annotations, Labels};
use brokkr_core::name::Reference;
use brokkr_core::targeting::{AgentScope, AgentTraits, Facts};
use brokkr_core::wire::{TargetWindow, Workloads};
use brokkr_core::{AgentId, Name, StackId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::QueryBuilder;
use sqlx::types::Json;
use uuid::Uuid;

use super::rows::{BringRows as _, in_turn, pieces};
use super::sessions::{Bond, BondRow};
use super::{Tx, Word, generators, number, on, sql, windows};
use crate::error::{Error, Result, name_taken};
use crate::page::Window;
use crate::scope::Scope;

/// Every question about agents reads the same columns, some without the facts, which can be long.
macro_rules! select_agents {
    ($rest:literal) => {
        select_agents!("a.facts", $rest)
    };
    ($facts:literal, $rest:literal) => {
        concat!(
            "select ",
            $facts,
            " as facts, a.id, a.name, a.edited_revision, a.labels, a.annotations, a.paused, a.retiring, a.created_at,
                    a.last_seen, a.interval_seconds,
                    a.session, a.version, a.features, a.cluster, a.refused_clusters
             from agents a",
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
    /// The revision that last edited it.
    pub(crate) revision: u64,
    pub(crate) labels: Labels,
    pub(crate) annotations: Annotations,
    pub(crate) paused: bool,
    /// What becomes of its workloads, if it is to finish and go.
    pub(crate) retiring: Option<Workloads>,
    /// None until it has reported any.
    pub(crate) facts: Option<Facts>,
    pub(crate) created_at: Timestamp,
    pub(crate) heartbeat: Option<Heartbeat>,
    pub(crate) bond: Bond,
}

impl AgentRow {
    /// What rules judge it by.
    pub(crate) const fn traits(&self) -> AgentTraits<'_> {
        AgentTraits {
            labels: &self.labels,
            annotations: &self.annotations,
            facts: self.facts.as_ref(),
        }
    }
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
    edited_revision: i64,
    labels: Json<Labels>,
    annotations: Json<Annotations>,
    paused: bool,
    retiring: Option<Word<Workloads>>,
    facts: Option<Json<Facts>>,
    created_at: jiff_sqlx::Timestamp,
    last_seen: Option<jiff_sqlx::Timestamp>,
    interval_seconds: i64,
    #[sqlx(flatten)]
    bond: BondRow,
}

impl From<Row> for AgentRow {
    fn from(row: Row) -> Self {
        let interval_seconds = number(row.interval_seconds);
        Self {
            id: row.id.into(),
            name: row.name.0,
            revision: number(row.edited_revision),
            labels: row.labels.0,
            annotations: row.annotations.0,
            paused: row.paused,
            retiring: row.retiring.map(|word| word.0),
            facts: row.facts.map(|Json(facts)| facts),
            created_at: row.created_at.to_jiff(),
            heartbeat: row.last_seen.map(|at| Heartbeat {
                at: at.to_jiff(),
                interval_seconds,
            }),
            bond: row.bond.into(),
        }
    }
}

pub(crate) async fn insert(agent: &AgentRow, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "insert into agents (id, name, labels, annotations, created_at, changed_revision, edited_revision)
         values ($1, $2, $3, $4, $5, $6, $6)"
    )
    .bind(agent.id.uuid())
    .bind(agent.name.as_str())
    .bind(Json(&agent.labels))
    .bind(Json(&agent.annotations))
    .bind(agent.created_at.to_sqlx())
    .bind(sql(agent.revision))
    .execute(c)
    .await
    .map(drop))
    .map_err(name_taken(&agent.name))
}

/// Finds an agent that the caller may see: a generator, those in its scope.
pub(crate) async fn find(reference: &Reference, scope: &Scope, tx: &mut Tx) -> Result<AgentRow> {
    let row: Option<Row> = match reference {
        Reference::Id(id) => on!(tx, |c| sqlx::query_as(select_agents!(
            "where a.id = $1 and a.deleted_at is null"
        ))
        .bind(id)
        .fetch_optional(c)
        .await)?,
        Reference::Named { owner: Some(_), .. } => None,
        Reference::Named { owner: None, name } => on!(tx, |c| sqlx::query_as(select_agents!(
            "where a.name = $1 and a.deleted_at is null"
        ))
        .bind(name.as_str())
        .fetch_optional(c)
        .await)?,
    };
    let reach = reach(scope, tx).await?;
    row.map(AgentRow::from)
        .filter(|agent| reach.is_none_or(|reach| reach.reaches(&agent.labels, &agent.annotations)))
        .ok_or(Error::NotFound("agent"))
}

/// How many agents are looked at in one go: a narrow scope passes over most of them.
const SCANNED: i64 = 128;

/// Agents that the caller may see, without their facts.
pub(crate) async fn list(
    scope: &Scope,
    window: Window<Uuid>,
    tx: &mut Tx,
) -> Result<Vec<AgentRow>> {
    let Some(reach) = reach(scope, tx).await? else {
        return beyond(window.beyond, window.rows(), tx).await;
    };
    let (mut agents, mut last) = (Vec::new(), window.beyond);
    let wanted = usize::try_from(window.rows()).unwrap_or(usize::MAX);
    while agents.len() < wanted {
        let rows = beyond(last, SCANNED, tx).await?;
        let Some(row) = rows.last() else { break };
        last = row.id.uuid();
        let seen = |agent: &AgentRow| reach.reaches(&agent.labels, &agent.annotations);
        agents.extend(rows.into_iter().filter(seen));
    }
    agents.truncate(wanted);
    Ok(agents)
}

/// So many agents beyond one, in the order of their ids, without their facts.
async fn beyond(id: Uuid, rows: i64, tx: &mut Tx) -> Result<Vec<AgentRow>> {
    let rows: Vec<Row> = on!(tx, |c| sqlx::query_as(select_agents!(
        "null",
        "where a.deleted_at is null and a.id > $1 order by a.id limit $2"
    ))
    .bind(id)
    .bind(rows)
    .fetch_all(c)
    .await)?;
    Ok(rows.into_iter().map(AgentRow::from).collect())
}

/// The agents that run a stack, and those that a rule of it may match.
pub(crate) async fn that_may_run(stack: StackId, tx: &mut Tx) -> Result<Vec<AgentRow>> {
    let rows: Vec<Row> = on!(tx, |c| sqlx::query_as(select_agents!(
        "where a.deleted_at is null and (
             exists (select 1 from rule_anchors where stack_id = $1 and kind is null)
             or a.id in (
                 select agent_id from agent_targets where stack_id = $1 and state = 'active'
                 union select t.agent_id from rule_anchors r
                       join agent_traits t on t.kind = r.kind and t.key = r.key
                            and (r.value is null or r.value = t.value)
                       where r.stack_id = $1))
         order by a.id"
    ))
    .bind(stack.uuid())
    .fetch_all(c)
    .await)?;
    Ok(rows.into_iter().map(AgentRow::from).collect())
}

/// Which agents a caller sees; none if all.
async fn reach(scope: &Scope, tx: &mut Tx) -> Result<Option<AgentScope>> {
    match scope {
        Scope::All => Ok(None),
        Scope::Of(id, _) => generators::scope(*id, tx).await.map(Some),
    }
}

/// An agent's own row.
pub(crate) async fn itself(id: AgentId, tx: &mut Tx) -> Result<AgentRow> {
    find(&Reference::Id(id.uuid()), &Scope::All, tx).await
}

/// What the fleet index holds of an agent that was not deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AgentEntry {
    /// The last revision that changed its targets or removals.
    pub(crate) changed_revision: u64,
    pub(crate) paused: bool,
    /// Its last session: requests of an older one are refused.
    pub(crate) session: u64,
    /// The windows that cover it.
    pub(crate) windows: Vec<TargetWindow>,
}

#[derive(sqlx::FromRow)]
struct EntryRow {
    id: Uuid,
    changed_revision: i64,
    paused: bool,
    session: i64,
}

impl EntryRow {
    fn with(self, windows: Vec<TargetWindow>) -> AgentEntry {
        AgentEntry {
            changed_revision: number(self.changed_revision),
            paused: self.paused,
            session: number(self.session),
            windows,
        }
    }
}

/// What the fleet index holds of one agent; nothing of one that was deleted.
pub(crate) async fn entry(id: AgentId, tx: &mut Tx) -> Result<Option<AgentEntry>> {
    let row: Option<EntryRow> = on!(tx, |c| {
        sqlx::query_as(
        "select id, changed_revision, paused, session from agents where id = $1 and deleted_at is null"
    )
    .bind(id.uuid())
    .fetch_optional(c)
    .await
    })?;
    let Some(row) = row else { return Ok(None) };
    let agent = itself(id, tx).await?;
    let windows = windows::covering(id, &agent.labels, &agent.annotations, tx).await?;
    Ok(Some(row.with(windows)))
}

/// What the fleet index holds of every agent.
pub(crate) async fn entries(tx: &mut Tx) -> Result<Vec<(AgentId, AgentEntry)>> {
    let rows: Vec<EntryRow> = on!(tx, |c| sqlx::query_as(
        "select id, changed_revision, paused, session from agents where deleted_at is null"
    )
    .fetch_all(c)
    .await)?;
    let mut windows = windows::covering_each(tx).await?;
    let entries = rows.into_iter().map(|row| {
        let id = row.id.into();
        (id, row.with(windows.remove(&id).unwrap_or_default()))
    });
    Ok(entries.collect())
}

/// How the audit names it.
pub(crate) fn named(agent: &AgentRow) -> (Uuid, Option<String>) {
    (agent.id.uuid(), Some(agent.name.to_string()))
}

/// Lets an agent finish and go.
pub(crate) async fn set_retiring(agent: &AgentRow, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "update agents set retiring = $2, edited_revision = $3 where id = $1"
    )
    .bind(agent.id.uuid())
    .bind(agent.retiring.map(Word))
    .bind(sql(agent.revision))
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// The agents that were retired, and whose keys nobody has ended.
pub(crate) async fn retired(tx: &mut Tx) -> Result<Vec<AgentId>> {
    let rows: Vec<(Uuid,)> = on!(tx, |c| sqlx::query_as(
        "select id from agents where deleted_at is not null
           and id in (select owner_id from keys where revoked_at is null)"
    )
    .fetch_all(c)
    .await)?;
    Ok(rows.into_iter().map(|(id,)| id.into()).collect())
}

/// Whether an agent was retired.
pub(crate) async fn is_retired(id: AgentId, tx: &mut Tx) -> Result<bool> {
    let row: Option<(Uuid,)> = on!(tx, |c| sqlx::query_as(
        "select id from agents where id = $1 and deleted_at is not null"
    )
    .bind(id.uuid())
    .fetch_optional(c)
    .await)?;
    Ok(row.is_some())
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

/// Replaces all that people may change of an agent.
pub(crate) async fn update(agent: &AgentRow, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| {
        sqlx::query(
        "update agents set labels = $2, annotations = $3, edited_revision = $4, paused = $5 where id = $1"
    )
    .bind(agent.id.uuid())
    .bind(Json(&agent.labels))
    .bind(Json(&agent.annotations))
    .bind(sql(agent.revision))
    .bind(agent.paused)
    .execute(c)
    .await
    .map(drop)
    })?;
    Ok(())
}

pub(crate) async fn set_facts(id: AgentId, facts: &Facts, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "update agents set facts = $2 where id = $1"
    )
    .bind(id.uuid())
    .bind(Json(facts))
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

/// Keeps agents' last polls; an older one than is known changes nothing.
pub(crate) async fn record_heartbeats(heard: &[(AgentId, Heartbeat)], tx: &mut Tx) -> Result<()> {
    let _: Vec<()> = on!(tx, |c| {
        let statements = pieces(heard).map(|piece| {
            let mut query = QueryBuilder::new("with heard (id, at, interval_seconds) as (");
            query.bring(piece.iter().map(|(agent, heartbeat)| {
                let interval = sql(heartbeat.interval_seconds);
                (agent.uuid(), heartbeat.at.to_sqlx(), interval)
            }));
            query.push(
                ") update agents set last_seen = heard.at, interval_seconds = heard.interval_seconds from heard
                 where agents.id = heard.id and (last_seen is null or last_seen < heard.at)",
            );
            query
        });
        in_turn(statements, c).await
    })?;
    Ok(())
}
