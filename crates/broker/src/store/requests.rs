//! What agents are asked beside their work. A row that has expired is read by nobody, also before it is deleted.

use brokkr_core::wire::{AgentRequest, RequestAnswer, RequestKind, RequestTask, TargetRequest};
use brokkr_core::{AgentId, Name, RequestId, StackId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{Tx, Word, number, on};
use crate::error::{Error, Result};
use crate::scope::Scope;

/// A request that is not answered yet.
pub(crate) struct NewRequest {
    pub(crate) id: RequestId,
    pub(crate) agent: AgentId,
    /// Whose request it is.
    pub(crate) owner: Uuid,
    pub(crate) stack: Option<StackId>,
    pub(crate) kind: RequestKind,
    pub(crate) task: Packed,
    /// The manifests that it is about, compressed.
    pub(crate) content: Option<Vec<u8>>,
    pub(crate) asked_at: Timestamp,
    pub(crate) expires: Timestamp,
}

/// JSON as these rows keep it.
pub(crate) struct Packed(Vec<u8>);

/// The longest JSON that is unpacked: more than any task or answer has.
const MOST_BYTES: usize = 8 * 1024 * 1024;

impl Packed {
    pub(crate) fn new(value: &impl Serialize) -> Result<Self> {
        let json = serde_json::to_vec(value).map_err(Error::internal)?;
        zstd::bulk::compress(&json, 0)
            .map(Self)
            .map_err(Error::internal)
    }

    /// How many bytes it has.
    pub(crate) const fn size(&self) -> usize {
        self.0.len()
    }

    fn read<T: DeserializeOwned>(packed: &[u8]) -> Result<T> {
        let json = zstd::bulk::decompress(packed, MOST_BYTES).map_err(Error::internal)?;
        serde_json::from_slice(&json).map_err(Error::internal)
    }
}

/// How much there is of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    /// Those that are not answered.
    pub(crate) open: u64,
    /// Those, and those whose answers are kept.
    pub(crate) kept: u64,
    /// What the contents of the open ones have in bytes.
    pub(crate) bytes: u64,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    agent_id: Uuid,
    agent_name: Word<Name>,
    stack_id: Option<Uuid>,
    kind: Word<RequestKind>,
    asked_at: jiff_sqlx::Timestamp,
    expires_at: jiff_sqlx::Timestamp,
    answered_at: Option<jiff_sqlx::Timestamp>,
    answer: Option<Vec<u8>>,
}

impl TryFrom<Row> for AgentRequest {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let answer: Option<RequestAnswer> = row.answer.as_deref().map(Packed::read).transpose()?;
        Ok(Self {
            id: row.id.into(),
            agent: row.agent_id.into(),
            agent_name: row.agent_name.0,
            kind: row.kind.0,
            stack: row.stack_id.map(Into::into),
            asked_at: row.asked_at.to_jiff(),
            expires: row.expires_at.to_jiff(),
            answered_at: row.answered_at.map(jiff_sqlx::Timestamp::to_jiff),
            answer,
        })
    }
}

#[derive(sqlx::FromRow)]
struct TaskRow {
    task: Option<Vec<u8>>,
    content: Option<Vec<u8>>,
}

#[derive(sqlx::FromRow)]
struct OpenRow {
    id: Uuid,
    agent_id: Uuid,
    kind: Word<RequestKind>,
    expires_at: jiff_sqlx::Timestamp,
}

impl From<OpenRow> for (AgentId, TargetRequest) {
    fn from(row: OpenRow) -> Self {
        let request = TargetRequest {
            id: row.id.into(),
            kind: row.kind.0,
            expires: row.expires_at.to_jiff(),
        };
        (row.agent_id.into(), request)
    }
}

pub(crate) async fn insert(request: &NewRequest, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| {
        sqlx::query(
        "insert into requests (id, agent_id, owner_id, stack_id, kind, task, content, asked_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    )
    .bind(request.id.uuid())
    .bind(request.agent.uuid())
    .bind(request.owner)
    .bind(request.stack.map(StackId::uuid))
    .bind(Word(request.kind))
    .bind(request.task.0.as_slice())
    .bind(request.content.as_deref())
    .bind(request.asked_at.to_sqlx())
    .bind(request.expires.to_sqlx())
    .execute(c)
    .await
    .map(drop)
    })?;
    Ok(())
}

/// A request of the caller's, with its answer if there is one.
pub(crate) async fn find(
    id: RequestId,
    scope: &Scope,
    now: Timestamp,
    tx: &mut Tx,
) -> Result<AgentRequest> {
    let row: Option<Row> = on!(tx, |c| {
        sqlx::query_as(
        "select r.id, r.agent_id, a.name as agent_name, r.stack_id, r.kind, r.asked_at, r.expires_at,
                r.answered_at, r.answer
         from requests r join agents a on a.id = r.agent_id
         where r.id = $1 and r.expires_at > $2 and ($3 is null or r.owner_id = $3)"
    )
    .bind(id.uuid())
    .bind(now.to_sqlx())
    .bind(scope.only())
    .fetch_optional(c)
    .await
    })?;
    row.map(AgentRequest::try_from)
        .transpose()?
        .ok_or_else(missing)
}

/// What an agent is asked by a request that it has not answered, with the manifests that it is about, compressed.
pub(crate) async fn task(
    id: RequestId,
    agent: AgentId,
    now: Timestamp,
    tx: &mut Tx,
) -> Result<(RequestTask, Option<Vec<u8>>)> {
    let row: Option<TaskRow> = on!(tx, |c| sqlx::query_as(
        "select task, content from requests where id = $1 and agent_id = $2 and expires_at > $3"
    )
    .bind(id.uuid())
    .bind(agent.uuid())
    .bind(now.to_sqlx())
    .fetch_optional(c)
    .await)?;
    let TaskRow { task, content } = row.ok_or_else(missing)?;
    Ok((Packed::read(&task.ok_or_else(missing)?)?, content))
}

/// Keeps an answer in the place of the task. Answers whether it is the first one; an agent that was not asked, or is too
/// late, finds nothing to answer.
pub(crate) async fn answer(
    id: RequestId,
    agent: AgentId,
    answer: &Packed,
    now: Timestamp,
    tx: &mut Tx,
) -> Result<bool> {
    let row: Option<(bool,)> = on!(tx, |c| {
        sqlx::query_as(
        "select answered_at is null from requests where id = $1 and agent_id = $2 and expires_at > $3"
    )
    .bind(id.uuid())
    .bind(agent.uuid())
    .bind(now.to_sqlx())
    .fetch_optional(c)
    .await
    })?;
    let (is_open,) = row.ok_or_else(missing)?;
    if is_open {
        on!(tx, |c| {
            sqlx::query(
            "update requests set answer = $2, answered_at = $3, task = null, content = null where id = $1"
        )
        .bind(id.uuid())
        .bind(answer.0.as_slice())
        .bind(now.to_sqlx())
        .execute(c)
        .await
        .map(drop)
        })?;
    }
    Ok(is_open)
}

/// What an agent has not answered, the oldest first.
pub(crate) async fn open(agent: AgentId, tx: &mut Tx) -> Result<Vec<TargetRequest>> {
    let rows: Vec<OpenRow> = on!(tx, |c| sqlx::query_as(
        "select id, agent_id, kind, expires_at from requests
         where agent_id = $1 and answered_at is null order by id"
    )
    .bind(agent.uuid())
    .fetch_all(c)
    .await)?;
    Ok(rows
        .into_iter()
        .map(|row| <(AgentId, TargetRequest)>::from(row).1)
        .collect())
}

/// What all agents have not answered, the oldest first.
pub(crate) async fn all_open(tx: &mut Tx) -> Result<Vec<(AgentId, TargetRequest)>> {
    let rows: Vec<OpenRow> = on!(tx, |c| {
        sqlx::query_as(
        "select id, agent_id, kind, expires_at from requests where answered_at is null order by id"
    )
    .fetch_all(c)
    .await
    })?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// How much an agent is asked.
pub(crate) async fn load_of_agent(agent: AgentId, now: Timestamp, tx: &mut Tx) -> Result<Load> {
    let row: (i64, i64, i64) = on!(tx, |c| sqlx::query_as(
        "select count(*), count(task), coalesce(sum(length(content)), 0) from requests
         where agent_id = $1 and expires_at > $2"
    )
    .bind(agent.uuid())
    .bind(now.to_sqlx())
    .fetch_one(c)
    .await)?;
    Ok(load(row))
}

/// How much somebody asks.
pub(crate) async fn load_of_owner(owner: Uuid, now: Timestamp, tx: &mut Tx) -> Result<Load> {
    let row: (i64, i64, i64) = on!(tx, |c| sqlx::query_as(
        "select count(*), count(task), coalesce(sum(length(content)), 0) from requests
         where owner_id = $1 and expires_at > $2"
    )
    .bind(owner)
    .bind(now.to_sqlx())
    .fetch_one(c)
    .await)?;
    Ok(load(row))
}

fn load((kept, open, bytes): (i64, i64, i64)) -> Load {
    Load {
        open: number(open),
        kept: number(kept),
        bytes: number(bytes),
    }
}

/// Deletes some of those that have expired, with their answers. Answers how many.
pub(crate) async fn forget(now: Timestamp, most: i64, tx: &mut Tx) -> Result<u64> {
    let forgotten = on!(tx, |c| {
        sqlx::query(
        "delete from requests where id in (select id from requests where expires_at <= $1 limit $2)"
    )
    .bind(now.to_sqlx())
    .bind(most)
    .execute(c)
    .await
    .map(|done| done.rows_affected())
    })?;
    Ok(forgotten)
}

fn missing() -> Error {
    Error::NotFound("request (they are kept for 15 minutes)")
}
