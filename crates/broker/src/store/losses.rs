//! What agents are to take out of their clusters: removals, and what they hold of snapshots that have less.

use brokkr_core::wire::{Approval, Held, LossCause, OnRemove, Removal};
use brokkr_core::{AgentId, KeptKind, Name, StackId};
use sqlx::types::Json;
use uuid::Uuid;

use super::agent_targets::{Filter, State};
use super::{Tx, Word, number, on};
use crate::error::Result;
use crate::page::Window;
use crate::scope::Scope;

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    agent_id: Uuid,
    agent_name: Word<Name>,
    stack_id: Uuid,
    stack_name: Word<Name>,
    generator: Option<Word<Name>>,
    stack_deleted_at: Option<jiff_sqlx::Timestamp>,
    state: Word<State>,
    policy: Option<Word<OnRemove>>,
    allow_delete: Json<Vec<KeptKind>>,
    removal_revision: Option<i64>,
    ended_at: Option<jiff_sqlx::Timestamp>,
    approved: Option<Json<Approval>>,
    created_at: jiff_sqlx::Timestamp,
    reported_at: Option<jiff_sqlx::Timestamp>,
    held_shown: Option<Json<Held>>,
}

impl From<Row> for Removal {
    fn from(row: Row) -> Self {
        let is_removing = row.state.0 == State::Removing;
        let revision = row.removal_revision.map(number);
        let since = row.ended_at.or(row.reported_at).unwrap_or(row.created_at);
        let held = row.held_shown.map(|Json(held)| held);
        Self {
            id: row.id.into(),
            agent: row.agent_id.into(),
            agent_name: row.agent_name.0,
            stack: row.stack_id.into(),
            stack_name: row.stack_name.0,
            generator: row.generator.map(|name| name.0),
            stack_deleted_at: row.stack_deleted_at.map(jiff_sqlx::Timestamp::to_jiff),
            policy: row.policy.map_or(OnRemove::Delete, |policy| policy.0),
            allow_delete: row.allow_delete.0,
            revision,
            since: since.to_jiff(),
            approved: row.approved.map(|Json(approval)| approval),
            held: held.filter(|held| {
                !is_removing || revision.map(LossCause::Removal) == Some(held.cause)
            }),
        }
    }
}

/// Open removals, and the losses that the newest snapshot causes and agents hold, within a scope.
pub(crate) async fn list(
    filter: &Filter,
    scope: &Scope,
    window: Window<Uuid>,
    tx: &mut Tx,
) -> Result<Vec<Removal>> {
    let rows: Vec<Row> = on!(tx, |c| {
        sqlx::query_as(
        "select t.id, t.agent_id, a.name as agent_name, t.stack_id, s.name as stack_name, g.name as generator,
                s.deleted_at as stack_deleted_at, t.state, t.policy, t.allow_delete, t.removal_revision, t.ended_at, t.approved, t.created_at,
                r.reported_at, r.held_shown
         from agent_targets t join agents a on a.id = t.agent_id join stacks s on s.id = t.stack_id
              left join generators g on g.id = s.owner_id
              left join target_status r on r.agent_id = t.agent_id and r.stack_id = t.stack_id
         where (t.state = 'removing' or t.state = 'active' and r.held_snapshot = s.head_sequence)
             and ($1 is null or t.agent_id = $1) and ($2 is null or t.stack_id = $2)
             and ($3 is null or s.owner_id = $3) and t.id > $4
         order by t.id limit $5"
    )
    .bind(filter.agent.map(AgentId::uuid))
    .bind(filter.stack.map(StackId::uuid))
    .bind(scope.only())
    .bind(window.beyond)
    .bind(window.rows())
    .fetch_all(c)
    .await
    })?;
    Ok(rows.into_iter().map(Removal::from).collect())
}
