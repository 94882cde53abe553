use brokkr_core::wire::{AgentTarget, OnRemove, Removal};
use brokkr_core::{AgentId, AgentTargetId, KeptKind, Name, StackId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Tx, Word, number, on, sql};
use crate::error::{Error, Result};
use crate::page::Window;
use crate::scope::Scope;

/// Every question about open targets reads the same columns.
macro_rules! select_open {
    ($rest:literal) => {
        concat!(
            "select t.id, t.agent_id, a.name as agent_name, t.stack_id, s.name as stack_name, g.name as generator, t.direct,
                    t.rule, t.ineligible, t.created_at, t.policy, t.allow_delete, t.removal_revision, t.ended_at
             from agent_targets t join agents a on a.id = t.agent_id join stacks s on s.id = t.stack_id
                  left join generators g on g.id = s.owner_id
             where t.state in ('active', 'removing')",
            " ",
            $rest
        )
    };
}

/// How an agent target stands. It is never deleted; the last two states are for the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// The agent runs the stack.
    Active,
    /// The agent is to remove it and has not confirmed that it has.
    Removing,
    /// The agent has confirmed.
    Confirmed,
    /// The agent was targeted again before it confirmed.
    Withdrawn,
}

/// How a target ends.
#[derive(Debug, Clone)]
pub(crate) struct Ending {
    pub(crate) policy: OnRemove,
    pub(crate) allow_delete: Vec<KeptKind>,
    pub(crate) revision: u64,
    pub(crate) now: Timestamp,
}

/// An agent target that is not closed.
#[derive(Debug, Clone)]
pub(crate) enum OpenTarget {
    Active(AgentTarget),
    Removing(Removal),
}

impl OpenTarget {
    pub(crate) const fn agent(&self) -> AgentId {
        match self {
            Self::Active(target) => target.agent,
            Self::Removing(removal) => removal.agent,
        }
    }

    pub(crate) const fn stack(&self) -> StackId {
        match self {
            Self::Active(target) => target.stack,
            Self::Removing(removal) => removal.stack,
        }
    }

    /// The revision that asked for the removal, if this is one.
    pub(crate) const fn removal_revision(&self) -> Option<u64> {
        match self {
            Self::Active(_) => None,
            Self::Removing(removal) => Some(removal.revision),
        }
    }

    pub(crate) fn active(self) -> Option<AgentTarget> {
        match self {
            Self::Active(target) => Some(target),
            Self::Removing(_) => None,
        }
    }

    pub(crate) const fn id(&self) -> AgentTargetId {
        match self {
            Self::Active(target) => target.id,
            Self::Removing(removal) => removal.id,
        }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    agent_id: Uuid,
    agent_name: Word<Name>,
    stack_id: Uuid,
    stack_name: Word<Name>,
    generator: Option<Word<Name>>,
    direct: bool,
    rule: Option<String>,
    ineligible: bool,
    created_at: jiff_sqlx::Timestamp,
    policy: Option<Word<OnRemove>>,
    allow_delete: Json<Vec<KeptKind>>,
    removal_revision: Option<i64>,
    ended_at: Option<jiff_sqlx::Timestamp>,
}

impl From<Row> for OpenTarget {
    fn from(row: Row) -> Self {
        let (agent, agent_name) = (row.agent_id.into(), row.agent_name.0);
        let (stack, stack_name) = (row.stack_id.into(), row.stack_name.0);
        let generator = row.generator.map(|name| name.0);
        let (id, created_at) = (row.id.into(), row.created_at.to_jiff());
        match (row.policy, row.removal_revision, row.ended_at) {
            (Some(Word(policy)), Some(revision), Some(ended_at)) => Self::Removing(Removal {
                id,
                agent,
                agent_name,
                stack,
                stack_name,
                generator,
                policy,
                allow_delete: row.allow_delete.0,
                revision: number(revision),
                since: ended_at.to_jiff(),
            }),
            _ => Self::Active(AgentTarget {
                id,
                agent,
                agent_name,
                stack,
                stack_name,
                generator,
                direct: row.direct,
                rule: row.rule,
                ineligible: row.ineligible,
                created_at,
            }),
        }
    }
}

/// Which open targets a question is about; an absent part does not restrict.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filter {
    pub(crate) agent: Option<AgentId>,
    pub(crate) stack: Option<StackId>,
    pub(crate) state: State,
}

/// Open targets within a scope.
pub(crate) async fn list(
    filter: &Filter,
    scope: &Scope,
    window: &Window,
    tx: &mut Tx,
) -> Result<Vec<OpenTarget>> {
    let rows: Vec<Row> = on!(tx, |c| {
        sqlx::query_as(
        select_open!("and ($1 is null or t.agent_id = $1) and ($2 is null or t.stack_id = $2) and t.state = $3
             and ($4 is null or s.owner_id = $4) and t.id > $5
         order by t.id limit $6")
    )
    .bind(filter.agent.map(AgentId::uuid))
    .bind(filter.stack.map(StackId::uuid))
    .bind(Word(filter.state))
    .bind(scope.only())
    .bind(window.after)
    .bind(window.rows())
    .fetch_all(c)
    .await
    })?;
    Ok(rows.into_iter().map(OpenTarget::from).collect())
}

/// One open target within a scope.
pub(crate) async fn find(id: AgentTargetId, scope: &Scope, tx: &mut Tx) -> Result<OpenTarget> {
    let row: Option<Row> = on!(tx, |c| sqlx::query_as(select_open!(
        "and t.id = $1 and ($2 is null or s.owner_id = $2)"
    ))
    .bind(id.uuid())
    .bind(scope.only())
    .fetch_optional(c)
    .await)?;
    row.map(OpenTarget::from)
        .ok_or(Error::NotFound("agent target"))
}

/// Some open target of an agent, if it has any.
pub(crate) async fn any_of(agent: AgentId, tx: &mut Tx) -> Result<Option<OpenTarget>> {
    let row: Option<Row> = on!(tx, |c| sqlx::query_as(select_open!(
        "and t.agent_id = $1 limit 1"
    ))
    .bind(agent.uuid())
    .fetch_optional(c)
    .await)?;
    Ok(row.map(OpenTarget::from))
}

/// The open target between an agent and a stack, if there is one.
pub(crate) async fn between(
    agent: AgentId,
    stack: StackId,
    tx: &mut Tx,
) -> Result<Option<OpenTarget>> {
    let row: Option<Row> = on!(tx, |c| {
        sqlx::query_as(select_open!("and t.agent_id = $1 and t.stack_id = $2"))
            .bind(agent.uuid())
            .bind(stack.uuid())
            .fetch_optional(c)
            .await
    })?;
    Ok(row.map(OpenTarget::from))
}

/// The open targets of a stack.
pub(crate) async fn of_stack(stack: StackId, tx: &mut Tx) -> Result<Vec<OpenTarget>> {
    let rows: Vec<Row> = on!(tx, |c| sqlx::query_as(select_open!("and t.stack_id = $1"))
        .bind(stack.uuid())
        .fetch_all(c)
        .await)?;
    Ok(rows.into_iter().map(OpenTarget::from).collect())
}

/// The open targets of an agent.
pub(crate) async fn of_agent(agent: AgentId, tx: &mut Tx) -> Result<Vec<OpenTarget>> {
    let rows: Vec<Row> = on!(tx, |c| sqlx::query_as(select_open!("and t.agent_id = $1"))
        .bind(agent.uuid())
        .fetch_all(c)
        .await)?;
    Ok(rows.into_iter().map(OpenTarget::from).collect())
}

/// Every open target.
pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<OpenTarget>> {
    let rows: Vec<Row> = on!(tx, |c| {
        sqlx::query_as(select_open!("")).fetch_all(c).await
    })?;
    Ok(rows.into_iter().map(OpenTarget::from).collect())
}

pub(crate) async fn insert(target: &AgentTarget, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| {
        sqlx::query(
        "insert into agent_targets (id, agent_id, stack_id, direct, rule, ineligible, state, created_at,
             allow_delete)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    )
    .bind(target.id.uuid())
    .bind(target.agent.uuid())
    .bind(target.stack.uuid())
    .bind(target.direct)
    .bind(target.rule.as_deref())
    .bind(target.ineligible)
    .bind(Word(State::Active))
    .bind(target.created_at.to_sqlx())
    .bind(Json(Vec::<KeptKind>::new()))
    .execute(c)
    .await
    .map(drop)
    })?;
    Ok(())
}

/// Says anew why an active target is one.
pub(crate) async fn set_reason(target: &AgentTarget, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "update agent_targets set direct = $2, rule = $3, ineligible = $4 where id = $1"
    )
    .bind(target.id.uuid())
    .bind(target.direct)
    .bind(target.rule.as_deref())
    .bind(target.ineligible)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// Turns an active target into a removal.
pub(crate) async fn end(id: AgentTargetId, ending: &Ending, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| {
        sqlx::query(
        "update agent_targets
         set state = 'removing', policy = $2, allow_delete = $3, removal_revision = $4, ended_at = $5
         where id = $1 and state = 'active'"
    )
    .bind(id.uuid())
    .bind(Word(ending.policy))
    .bind(Json(&ending.allow_delete))
    .bind(sql(ending.revision))
    .bind(ending.now.to_sqlx())
    .execute(c)
    .await
    .map(drop)
    })?;
    Ok(())
}

/// Closes a removal.
pub(crate) async fn close(
    id: AgentTargetId,
    state: State,
    now: Timestamp,
    tx: &mut Tx,
) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "update agent_targets set state = $2, closed_at = $3 where id = $1 and state = 'removing'"
    )
    .bind(id.uuid())
    .bind(Word(state))
    .bind(now.to_sqlx())
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}
