use std::sync::Arc;

use brokkr_core::wire::{
    Health, Held, HeldLoss, LossCause, Paused, StackOptions, StackStatus, Sync, TargetStatus,
};
use brokkr_core::{AgentId, Name, StackId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::QueryBuilder;
use sqlx::types::Json;
use uuid::Uuid;

use super::agent_targets::State;
use super::agents::Heartbeat;
use super::rows::{BringRows as _, in_turn, pairs, pieces};
use super::{Tx, Word, number, on, sql};
use crate::error::Result;
use crate::page::Window;

/// The state of one agent target, and what its page is ordered by.
pub(crate) struct StatusRow {
    pub(crate) target: Uuid,
    pub(crate) status: TargetStatus,
    /// The agent's last poll that the database knows of.
    pub(crate) heartbeat: Option<Heartbeat>,
}

#[derive(sqlx::FromRow)]
struct Row {
    target: Uuid,
    agent_id: Uuid,
    agent_name: Word<Name>,
    state: Word<State>,
    ineligible: bool,
    head_sequence: i64,
    seen: Option<i64>,
    applied: Option<i64>,
    sync: Option<Word<Sync>>,
    health: Option<Word<Health>>,
    reason: Option<String>,
    held_shown: Option<Json<Held>>,
    removal_revision: Option<i64>,
    last_seen: Option<jiff_sqlx::Timestamp>,
    interval_seconds: i64,
    options: Json<StackOptions>,
    agent_paused: bool,
    fleet_paused: bool,
}

impl From<Row> for StatusRow {
    fn from(row: Row) -> Self {
        let is_removing = row.state.0 == State::Removing;
        let desired = (row.head_sequence > 0 && !is_removing).then(|| number(row.head_sequence));
        let reported = row.sync.map_or(Sync::Pending, |sync| sync.0);
        // What was said of another version says nothing about the newest one, unless it is that the agent follows
        // another history, and has seen no version of this one.
        let follows_another = reported == Sync::Held && row.seen.is_none();
        let is_of_head = row.seen == Some(row.head_sequence) || follows_another;
        let cause = match row.removal_revision {
            Some(revision) => LossCause::Removal(number(revision)),
            None => LossCause::Snapshot(number(row.head_sequence)),
        };
        let held = row.held_shown.map(|Json(held)| held);
        let sync = match (is_removing, is_of_head) {
            (true, _) => Sync::Removing,
            (false, true) => reported,
            (false, false) => Sync::Pending,
        };
        let status = TargetStatus {
            agent: row.agent_id.into(),
            agent_name: row.agent_name.0,
            desired,
            applied: row.applied.map(number),
            sync,
            health: row.health.map_or(Health::Unknown, |health| health.0),
            ineligible: row.ineligible && !is_removing,
            paused: Paused {
                stack: row.options.0.paused,
                agent: row.agent_paused,
                fleet: row.fleet_paused,
            },
            reason: row.reason.filter(|_| is_removing || is_of_head),
            held: held.filter(|held| held.cause == cause),
            observed_at: None,
        };
        let interval_seconds = number(row.interval_seconds);
        let heartbeat = row.last_seen.map(|at| Heartbeat {
            at: at.to_jiff(),
            interval_seconds,
        });
        Self {
            target: row.target,
            status,
            heartbeat,
        }
    }
}

/// Keeps what agents report of stacks, and answers of which it did: nothing is kept of stacks that an agent does not
/// run. None may be in it twice.
pub(crate) async fn report(
    statuses: &[(AgentId, Arc<StackStatus>)],
    now: Timestamp,
    tx: &mut Tx,
) -> Result<impl Iterator<Item = (AgentId, StackId)> + use<>> {
    let kept = on!(tx, |c| {
        let statements = pieces(statuses).map(|piece| {
            let mut query = QueryBuilder::new(
                "with reported (agent_id, stack_id, seen, applied, sync, health, reason, held_snapshot, held_shown, held) as (",
            );
            query.bring(piece.iter().map(|(agent, status)| {
                let held = status.held.as_ref();
                (
                    agent.uuid(),
                    status.stack.uuid(),
                    status.seen.map(sql),
                    status.applied.map(sql),
                    Word(status.sync),
                    Word(status.health),
                    status.reason.as_deref(),
                    held.and_then(snapshot),
                    held.map(|held| Json(held.shown())),
                    held.map(Json),
                )
            }));
            query
                .push(
                    ") insert into target_status (agent_id, stack_id, seen, applied, sync, health, reason, held_snapshot,
                         held_shown, held, reported_at)
                     select r.*, ",
                )
                .push_bind(now.to_sqlx())
                .push(
                    " from reported r
                     where (select true from agent_targets t where t.agent_id = r.agent_id and t.stack_id = r.stack_id
                              and t.state in ('active', 'removing') limit 1)
                     on conflict (agent_id, stack_id) do update set seen = excluded.seen, applied = excluded.applied,
                         sync = excluded.sync, health = excluded.health, reason = excluded.reason,
                         reported_at = excluded.reported_at, held_snapshot = excluded.held_snapshot,
                         held_shown = excluded.held_shown, held = excluded.held
                     returning agent_id, stack_id",
                );
            query
        });
        in_turn(statements, c).await
    })?;
    Ok(pairs(kept))
}

/// The snapshot that a loss is held because of, if one is its cause.
fn snapshot(held: &HeldLoss) -> Option<i64> {
    match held.cause {
        LossCause::Snapshot(sequence) => Some(sql(sequence)),
        LossCause::Removal(_) => None,
    }
}

/// Forgets what was reported of a stack that the agent no longer has.
pub(crate) async fn forget(agent: AgentId, stack: StackId, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "delete from target_status where agent_id = $1 and stack_id = $2"
    )
    .bind(agent.uuid())
    .bind(stack.uuid())
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// The loss that an agent holds because of a stack's newest snapshot, if it holds one.
pub(crate) async fn held(agent: AgentId, stack: StackId, tx: &mut Tx) -> Result<Option<HeldLoss>> {
    let row: Option<(Option<Json<HeldLoss>>,)> = on!(tx, |c| sqlx::query_as(
        "select r.held from target_status r join stacks s on s.id = r.stack_id
         where r.agent_id = $1 and r.stack_id = $2 and r.held_snapshot = s.head_sequence"
    )
    .bind(agent.uuid())
    .bind(stack.uuid())
    .fetch_optional(c)
    .await)?;
    Ok(row.and_then(|(held,)| held).map(|Json(held)| held))
}

/// Forgets a held loss that was decided about. An agent that still holds something says so again.
pub(crate) async fn forget_held(agent: AgentId, stack: StackId, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| {
        sqlx::query(
            "update target_status set held_snapshot = null, held_shown = null, held = null
         where agent_id = $1 and stack_id = $2",
        )
        .bind(agent.uuid())
        .bind(stack.uuid())
        .execute(c)
        .await
        .map(drop)
    })?;
    Ok(())
}

/// The state of each open target of a stack that the caller was found to see.
pub(crate) async fn of_stack(
    stack: StackId,
    window: &Window,
    tx: &mut Tx,
) -> Result<Vec<StatusRow>> {
    let rows: Vec<Row> = on!(tx, |c| {
        sqlx::query_as(
        "select t.id as target, t.agent_id, a.name as agent_name, t.state, t.ineligible, s.head_sequence,
                r.seen, r.applied, r.sync, r.health, r.reason, r.held_shown, t.removal_revision, a.last_seen, a.interval_seconds,
                s.options, a.paused as agent_paused, coalesce((select paused from settings where id = 1), false) as fleet_paused
         from agent_targets t join agents a on a.id = t.agent_id join stacks s on s.id = t.stack_id
              left join target_status r on r.agent_id = t.agent_id and r.stack_id = t.stack_id
         where t.stack_id = $1 and t.state in ('active', 'removing') and t.id > $2
         order by t.id limit $3"
    )
    .bind(stack.uuid())
    .bind(window.after)
    .bind(window.rows())
    .fetch_all(c)
    .await
    })?;
    Ok(rows.into_iter().map(StatusRow::from).collect())
}
