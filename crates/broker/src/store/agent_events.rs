use std::sync::Arc;

use brokkr_core::wire::{Action, AgentEvent, ObjectOutcome, Outcome, RecordedEvent};
use brokkr_core::{AgentId, DeploymentObjectId, Name, StackId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::QueryBuilder;
use sqlx::types::Json;
use uuid::Uuid;

use super::rows::{BringRows as _, in_turn, pairs, pieces};
use super::{Tx, Word, number, on, sql};
use crate::error::Result;
use crate::page;
use crate::scope::Scope;

/// A place in the feed of events: the number of the group that recorded it, then the event's id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position {
    pub(crate) ingest: u64,
    pub(crate) id: Uuid,
}

/// An event and its place in the feed.
pub(crate) struct EventRow {
    pub(crate) position: Position,
    pub(crate) event: RecordedEvent,
}

#[derive(sqlx::FromRow)]
struct Row {
    agent_id: Uuid,
    agent_name: Word<Name>,
    id: Uuid,
    stack_id: Uuid,
    stack_name: Word<Name>,
    generator: Option<Word<Name>>,
    deployment_object_id: Option<Uuid>,
    sequence: Option<i64>,
    action: Word<Action>,
    outcome: Word<Outcome>,
    reason: Option<String>,
    objects: Json<Vec<ObjectOutcome>>,
    count: i64,
    first_at: jiff_sqlx::Timestamp,
    last_at: jiff_sqlx::Timestamp,
    recorded_at: jiff_sqlx::Timestamp,
    ingest: i64,
    found: i64,
}

impl From<Row> for EventRow {
    fn from(row: Row) -> Self {
        let event = AgentEvent {
            id: row.id.into(),
            stack: row.stack_id.into(),
            deployment_object: row.deployment_object_id.map(Into::into),
            sequence: row.sequence.map(number),
            action: row.action.0,
            outcome: row.outcome.0,
            reason: row.reason,
            objects: row.objects.0,
            count: number(row.count),
            first: row.first_at.to_jiff(),
            last: row.last_at.to_jiff(),
        };
        Self {
            position: Position {
                ingest: number(row.ingest),
                id: row.id,
            },
            event: RecordedEvent {
                agent: row.agent_id.into(),
                agent_name: row.agent_name.0,
                stack_name: row.stack_name.0,
                generator: row.generator.map(|name| name.0),
                recorded_at: row.recorded_at.to_jiff(),
                event,
            },
        }
    }
}

/// Records events, and answers of which agents' stacks that told something new. An event that is there already only
/// grows its count; nothing is recorded of stacks that were never the agent's. No event may be in it twice.
pub(crate) async fn record(
    events: &[(AgentId, Arc<AgentEvent>)],
    ingest: u64,
    now: Timestamp,
    tx: &mut Tx,
) -> Result<impl Iterator<Item = (AgentId, StackId)> + use<>> {
    let news = on!(tx, |c| {
        let statements = pieces(events).map(|piece| {
            let mut query = QueryBuilder::new(
                "with reported (agent_id, id, stack_id, deployment_object_id, sequence, action, outcome, reason, objects,
                     count, first_at, last_at) as (",
            );
            query.bring(piece.iter().map(|(agent, event)| {
                (
                    agent.uuid(),
                    event.id.uuid(),
                    event.stack.uuid(),
                    event.deployment_object.map(DeploymentObjectId::uuid),
                    event.sequence.map(sql),
                    Word(event.action),
                    Word(event.outcome),
                    event.reason.as_deref(),
                    Json(&event.objects),
                    sql(event.count),
                    event.first.to_sqlx(),
                    event.last.to_sqlx(),
                )
            }));
            query
                .push(
                    ") insert into agent_events (agent_id, id, stack_id, deployment_object_id, sequence, action, outcome,
                         reason, objects, count, first_at, last_at, recorded_at, heard_at, ingest)
                     select r.*, w.at, w.at, w.ingest from reported r cross join (select ",
                )
                .push_bind(now.to_sqlx())
                .push(" as at, ")
                .push_bind(sql(ingest))
                .push(
                    " as ingest) w
                     where (select true from agent_targets t where t.agent_id = r.agent_id and t.stack_id = r.stack_id limit 1)
                     on conflict (agent_id, id) do update set count = excluded.count, last_at = excluded.last_at,
                         heard_at = excluded.heard_at
                     where excluded.count > agent_events.count
                     returning agent_id, stack_id",
                );
            query
        });
        in_turn(statements, c).await
    })?;
    Ok(pairs(news))
}

/// Forgets a chunk of events: of the `rows` that follow a place in the feed, those of which nothing was heard
/// since a time. Answers where the next chunk begins; nothing if what follows is younger.
pub(crate) async fn forget(
    after: Position,
    before: Timestamp,
    rows: usize,
    tx: &mut Tx,
) -> Result<Option<Position>> {
    let chunk: Vec<(i64, Uuid, jiff_sqlx::Timestamp)> = on!(tx, |c| sqlx::query_as(
        "select ingest, id, recorded_at from agent_events where (ingest, id) > ($1, $2)
         order by ingest, id limit $3"
    )
    .bind(sql(after.ingest))
    .bind(after.id)
    .bind(i64::try_from(rows).unwrap_or(i64::MAX))
    .fetch_all(c)
    .await)?;
    let Some((ingest, id, recorded_at)) = chunk.last() else {
        return Ok(None);
    };
    on!(tx, |c| sqlx::query(
        "delete from agent_events
         where (ingest, id) > ($1, $2) and (ingest, id) <= ($3, $4) and heard_at < $5"
    )
    .bind(sql(after.ingest))
    .bind(after.id)
    .bind(ingest)
    .bind(id)
    .bind(before.to_sqlx())
    .execute(c)
    .await
    .map(drop))?;
    let is_over = chunk.len() < rows || recorded_at.to_jiff() >= before;
    Ok((!is_over).then_some(Position {
        ingest: number(*ingest),
        id: *id,
    }))
}

/// Which events a question is about; an absent part does not restrict.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Filter {
    pub(crate) agent: Option<AgentId>,
    pub(crate) stack: Option<StackId>,
    pub(crate) outcome: Option<Outcome>,
}

/// What is asked for is found by an index if it is seldom.
macro_rules! select_events {
    ($seldom:literal) => {
        concat!(
            "with page as (
             select e.agent_id, e.id, e.ingest,
                    octet_length(cast(e.objects as text)) + coalesce(octet_length(e.reason), 0) as bytes
             from agent_events e join stacks s on s.id = e.stack_id
             where ($1 is null or e.agent_id = $1) and ($2 is null or e.stack_id = $2)
               and ($3 is null or s.owner_id = $3) and (e.ingest, e.id) < ($4, $5) and ($8 is null or e.outcome = $8)",
            $seldom,
            " order by e.ingest desc, e.id desc limit $6),
         sized as (
             select agent_id, id, count(*) over () as found,
                    sum(bytes) over (order by ingest desc, id desc rows unbounded preceding) - bytes as bytes_before from page)
         select e.agent_id, a.name as agent_name, e.id, e.stack_id, s.name as stack_name, g.name as generator,
                e.deployment_object_id, e.sequence, e.action, e.outcome, e.reason, e.objects, e.count,
                e.first_at, e.last_at, e.recorded_at, e.ingest, p.found
         from sized p join agent_events e on e.agent_id = p.agent_id and e.id = p.id
              join agents a on a.id = e.agent_id join stacks s on s.id = e.stack_id
              left join generators g on g.id = s.owner_id
         where p.bytes_before < $7
         order by e.ingest desc, e.id desc"
        )
    };
}

/// Events within a scope, newest first, before a place in the feed: as many as are asked for, or fewer if they are large. With how many
/// there would have been.
pub(crate) async fn list(
    filter: Filter,
    scope: &Scope,
    before: Position,
    rows: usize,
    tx: &mut Tx,
) -> Result<(Vec<EventRow>, usize)> {
    let select = match filter.outcome {
        Some(Outcome::Failed | Outcome::Held) => {
            select_events!(" and e.outcome <> 'succeeded'")
        }
        Some(Outcome::Succeeded) | None => select_events!(""),
    };
    let rows: Vec<Row> = on!(tx, |c| sqlx::query_as(select)
        .bind(filter.agent.map(AgentId::uuid))
        .bind(filter.stack.map(StackId::uuid))
        .bind(scope.only())
        .bind(sql(before.ingest))
        .bind(before.id)
        .bind(i64::try_from(rows).unwrap_or(i64::MAX))
        .bind(i64::try_from(page::BYTES).unwrap_or(i64::MAX))
        .bind(filter.outcome.map(Word))
        .fetch_all(c)
        .await)?;
    let found = rows.first().map_or(0, |row| row.found);
    let found = usize::try_from(found).unwrap_or_default();
    Ok((rows.into_iter().map(EventRow::from).collect(), found))
}
