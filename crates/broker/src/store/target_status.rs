use std::sync::Arc;

use brokkr_core::wire::{
    Health, Held, HeldLoss, LossCause, Paused, StackAtAgent, StackOptions, StackStatus, Sync,
    TargetStatus,
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
use crate::scope::Scope;

/// Every question about how open targets are doing reads the same columns, and some read more.
macro_rules! select_status {
    ($more:literal, $which:literal) => {
        concat!(
            "select t.id as target, t.agent_id, a.name as agent_name, t.state, t.ineligible, s.head_sequence,
                    r.seen, r.applied, r.sync, r.health, r.reason, r.held_shown, t.removal_revision, a.last_seen, a.interval_seconds,
                    s.options, a.paused as agent_paused, coalesce((select paused from settings where id = 1), false) as fleet_paused",
            $more,
            " from agent_targets t join agents a on a.id = t.agent_id join stacks s on s.id = t.stack_id
                  left join generators g on g.id = s.owner_id
                  left join target_status r on r.agent_id = t.agent_id and r.stack_id = t.stack_id
             where t.state in ('active', 'removing') and ",
            $which
        )
    };
}

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
        let (sync, is_of_head) = told(row.state.0, row.head_sequence, row.seen, row.sync);
        let cause = match row.removal_revision {
            Some(revision) => LossCause::Removal(number(revision)),
            None => LossCause::Snapshot(number(row.head_sequence)),
        };
        let held = row.held_shown.map(|Json(held)| held);
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

/// How far an agent is by what it reported, and whether that was about the newest version. What was said of another version says nothing
/// about the newest one, unless it is that the agent follows another history, and has seen no version of this one.
fn told(state: State, head: i64, seen: Option<i64>, sync: Option<Word<Sync>>) -> (Sync, bool) {
    let reported = sync.map_or(Sync::Pending, |sync| sync.0);
    let follows_another = reported == Sync::Held && seen.is_none();
    let is_of_head = seen == Some(head) || follows_another;
    let sync = match (state, is_of_head) {
        (State::Removing, _) => Sync::Removing,
        (_, true) => reported,
        (_, false) => Sync::Pending,
    };
    (sync, is_of_head)
}

/// What an agent told of a stack, in short.
pub(crate) struct Told {
    pub(crate) agent: AgentId,
    sync: Sync,
    health: Health,
}

impl Told {
    /// As far as it is still known.
    pub(crate) const fn observed(&self, silent: bool) -> (Sync, Health) {
        self.sync.observed(self.health, silent)
    }
}

#[derive(sqlx::FromRow)]
struct ToldRow {
    agent_id: Uuid,
    state: Word<State>,
    head_sequence: i64,
    seen: Option<i64>,
    sync: Option<Word<Sync>>,
    health: Option<Word<Health>>,
}

impl From<ToldRow> for Told {
    fn from(row: ToldRow) -> Self {
        let (sync, _) = told(row.state.0, row.head_sequence, row.seen, row.sync);
        Self {
            agent: row.agent_id.into(),
            sync,
            health: row.health.map_or(Health::Unknown, |health| health.0),
        }
    }
}

#[derive(sqlx::FromRow)]
struct AtAgentRow {
    #[sqlx(flatten)]
    status: Row,
    stack_id: Uuid,
    stack_name: Word<Name>,
    generator: Option<Word<Name>>,
    direct: bool,
    rule: Option<String>,
    created_at: jiff_sqlx::Timestamp,
    reported_at: Option<jiff_sqlx::Timestamp>,
}

/// A stack at an agent, and the agent's last poll that the database knows of.
pub(crate) struct AtAgent {
    pub(crate) stack: StackAtAgent,
    pub(crate) heartbeat: Option<Heartbeat>,
}

impl From<AtAgentRow> for AtAgent {
    fn from(row: AtAgentRow) -> Self {
        let StatusRow {
            target,
            status,
            heartbeat,
        } = row.status.into();
        let stack = StackAtAgent {
            target: target.into(),
            stack: row.stack_id.into(),
            stack_name: row.stack_name.0,
            generator: row.generator.map(|name| name.0),
            direct: row.direct,
            rule: row.rule,
            since: row.created_at.to_jiff(),
            reported_at: row.reported_at.map(jiff_sqlx::Timestamp::to_jiff),
            status,
        };
        Self { stack, heartbeat }
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

/// The loss that an agent holds for a cause, if it holds one: because of the stack's newest snapshot, if no other cause is given.
pub(crate) async fn held(
    agent: AgentId,
    stack: StackId,
    cause: Option<LossCause>,
    tx: &mut Tx,
) -> Result<Option<HeldLoss>> {
    let row: Option<(Option<Json<HeldLoss>>, Option<i64>)> = on!(tx, |c| sqlx::query_as(
        "select r.held, s.head_sequence from target_status r join stacks s on s.id = r.stack_id
         where r.agent_id = $1 and r.stack_id = $2"
    )
    .bind(agent.uuid())
    .bind(stack.uuid())
    .fetch_optional(c)
    .await)?;
    let Some((Some(Json(held)), newest)) = row else {
        return Ok(None);
    };
    let cause = cause.or(newest.map(|newest| LossCause::Snapshot(number(newest))));
    Ok((cause == Some(held.cause)).then_some(held))
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
    window: Window<Uuid>,
    tx: &mut Tx,
) -> Result<Vec<StatusRow>> {
    let rows: Vec<Row> = on!(tx, |c| {
        sqlx::query_as(select_status!(
            "",
            "t.stack_id = $1 and t.id > $2 order by t.id limit $3"
        ))
        .bind(stack.uuid())
        .bind(window.beyond)
        .bind(window.rows())
        .fetch_all(c)
        .await
    })?;
    Ok(rows.into_iter().map(StatusRow::from).collect())
}

/// The state of each open target of an agent that the caller was found to see, of stacks in its scope.
pub(crate) async fn of_agent(
    agent: AgentId,
    scope: &Scope,
    window: Window<Uuid>,
    tx: &mut Tx,
) -> Result<Vec<AtAgent>> {
    let rows: Vec<AtAgentRow> = on!(tx, |c| {
        sqlx::query_as(select_status!(
            ", t.stack_id, s.name as stack_name, g.name as generator, t.direct, t.rule, t.created_at, r.reported_at",
            "t.agent_id = $1 and ($2 is null or s.owner_id = $2) and t.id > $3 order by t.id limit $4"
        ))
        .bind(agent.uuid())
        .bind(scope.only())
        .bind(window.beyond)
        .bind(window.rows())
        .fetch_all(c)
        .await
    })?;
    Ok(rows.into_iter().map(AtAgent::from).collect())
}

/// What agents told of stacks in a scope: those from one to another, in the order of their ids.
pub(crate) async fn of_agents(
    first: AgentId,
    last: AgentId,
    scope: &Scope,
    tx: &mut Tx,
) -> Result<Vec<Told>> {
    let rows: Vec<ToldRow> = on!(tx, |c| {
        sqlx::query_as(
            "select t.agent_id, t.state, s.head_sequence, r.seen, r.sync, r.health
         from agent_targets t join stacks s on s.id = t.stack_id
              left join target_status r on r.agent_id = t.agent_id and r.stack_id = t.stack_id
         where t.agent_id >= $1 and t.agent_id <= $2 and t.state in ('active', 'removing')
             and ($3 is null or s.owner_id = $3)",
        )
        .bind(first.uuid())
        .bind(last.uuid())
        .bind(scope.only())
        .fetch_all(c)
        .await
    })?;
    Ok(rows.into_iter().map(Told::from).collect())
}
