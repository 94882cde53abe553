use brokkr_core::wire::{AgentTarget, Approval, OnRemove, Removal, StackOptions};
use brokkr_core::{AgentId, AgentTargetId, KeptKind, Name, ServiceAccount, StackId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::types::Json;
use uuid::Uuid;

pub(crate) use super::decided::Decided;
use super::{Tx, Word, number, on, sql};
use crate::error::{Error, Result};
use crate::page::Window;
use crate::scope::Scope;

/// Every question about open targets reads the same columns.
macro_rules! select_open {
    ($rest:literal) => {
        concat!(
            "select t.id, t.agent_id, a.name as agent_name, t.stack_id, s.name as stack_name, g.name as generator, s.deleted_at as stack_deleted_at, t.direct,
                    t.rule, t.ineligible, t.created_at, t.policy, t.allow_delete, t.removal_revision, t.ended_at,
                    t.approved, t.decided, g.service_account as generator_account,
                    case when t.state = 'removing' then s.options end as removed_options
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
    /// With what was decided about losses that the agent held, if anything was.
    Active(AgentTarget, Option<Box<Decided>>),
    /// With the service account by whose rights it is removed, if it has one.
    Removing(Box<Removal>, Option<ServiceAccount>),
}

impl OpenTarget {
    pub(crate) const fn agent(&self) -> AgentId {
        match self {
            Self::Active(target, _) => target.agent,
            Self::Removing(removal, _) => removal.agent,
        }
    }

    pub(crate) const fn stack(&self) -> StackId {
        match self {
            Self::Active(target, _) => target.stack,
            Self::Removing(removal, _) => removal.stack,
        }
    }

    /// The revision that asked for the removal, if this is one.
    pub(crate) const fn removal_revision(&self) -> Option<u64> {
        match self {
            Self::Active(..) => None,
            Self::Removing(removal, _) => removal.revision,
        }
    }

    pub(crate) fn active(self) -> Option<AgentTarget> {
        match self {
            Self::Active(target, _) => Some(target),
            Self::Removing(..) => None,
        }
    }

    pub(crate) const fn id(&self) -> AgentTargetId {
        match self {
            Self::Active(target, _) => target.id,
            Self::Removing(removal, _) => removal.id,
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
    stack_deleted_at: Option<jiff_sqlx::Timestamp>,
    direct: bool,
    rule: Option<String>,
    ineligible: bool,
    created_at: jiff_sqlx::Timestamp,
    policy: Option<Word<OnRemove>>,
    allow_delete: Json<Vec<KeptKind>>,
    removal_revision: Option<i64>,
    ended_at: Option<jiff_sqlx::Timestamp>,
    approved: Option<Json<Approval>>,
    decided: Option<Json<Decided>>,
    generator_account: Option<Word<ServiceAccount>>,
    /// How the stack behaves, of removals only: there may be a million other targets.
    removed_options: Option<Json<StackOptions>>,
}

impl From<Row> for OpenTarget {
    fn from(row: Row) -> Self {
        let (agent, agent_name) = (row.agent_id.into(), row.agent_name.0);
        let (stack, stack_name) = (row.stack_id.into(), row.stack_name.0);
        let generator = row.generator.map(|name| name.0);
        let (id, created_at) = (row.id.into(), row.created_at.to_jiff());
        if let (Some(Word(policy)), Some(revision), Some(ended_at)) =
            (row.policy, row.removal_revision, row.ended_at)
        {
            let own = row.removed_options.and_then(|o| o.0.service_account);
            let account = own.or(row.generator_account.map(|account| account.0));
            let removal = Removal {
                id,
                agent,
                agent_name,
                stack,
                stack_name,
                generator,
                stack_deleted_at: row.stack_deleted_at.map(jiff_sqlx::Timestamp::to_jiff),
                policy,
                allow_delete: row.allow_delete.0,
                revision: Some(number(revision)),
                since: ended_at.to_jiff(),
                approved: row.approved.map(|Json(approval)| approval),
                held: None,
            };
            return Self::Removing(Box::new(removal), account);
        }
        let target = AgentTarget {
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
        };
        Self::Active(target, row.decided.map(|Json(decided)| Box::new(decided)))
    }
}

/// Which open targets a question is about; an absent part does not restrict.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filter {
    pub(crate) agent: Option<AgentId>,
    pub(crate) stack: Option<StackId>,
}

/// Active targets within a scope.
pub(crate) async fn list(
    filter: &Filter,
    scope: &Scope,
    window: Window<Uuid>,
    tx: &mut Tx,
) -> Result<Vec<AgentTarget>> {
    let rows: Vec<Row> = on!(tx, |c| {
        sqlx::query_as(
        select_open!("and ($1 is null or t.agent_id = $1) and ($2 is null or t.stack_id = $2) and t.state = 'active'
             and ($3 is null or s.owner_id = $3) and t.id > $4
         order by t.id limit $5")
    )
    .bind(filter.agent.map(AgentId::uuid))
    .bind(filter.stack.map(StackId::uuid))
    .bind(scope.only())
    .bind(window.beyond)
    .bind(window.rows())
    .fetch_all(c)
    .await
    })?;
    let targets = rows.into_iter().map(OpenTarget::from);
    Ok(targets.filter_map(OpenTarget::active).collect())
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

/// The stacks of a scope that an agent runs or removes.
pub(crate) async fn stacks_of(agent: AgentId, scope: &Scope, tx: &mut Tx) -> Result<Vec<StackId>> {
    let rows: Vec<(Uuid,)> = on!(tx, |c| sqlx::query_as(
        "select t.stack_id from agent_targets t join stacks s on s.id = t.stack_id
         where t.agent_id = $1 and t.state in ('active', 'removing')
           and ($2 is null or s.owner_id = $2)
         order by t.stack_id"
    )
    .bind(agent.uuid())
    .bind(scope.only())
    .fetch_all(c)
    .await)?;
    Ok(rows.into_iter().map(|(id,)| id.into()).collect())
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

/// What agents are to remove of an owner's stacks, deleted ones too.
pub(crate) async fn removals_of_owner(owner: Uuid, tx: &mut Tx) -> Result<Vec<(AgentId, StackId)>> {
    let rows: Vec<(Uuid, Uuid)> = on!(tx, |c| sqlx::query_as(
        "select t.agent_id, t.stack_id from agent_targets t join stacks s on s.id = t.stack_id
         where s.owner_id = $1 and t.state = 'removing'
         order by t.agent_id, t.stack_id"
    )
    .bind(owner)
    .fetch_all(c)
    .await)?;
    let read = |(agent, stack): (Uuid, Uuid)| (agent.into(), stack.into());
    Ok(rows.into_iter().map(read).collect())
}

/// The open targets of an agent.
pub(crate) async fn of_agent(agent: AgentId, tx: &mut Tx) -> Result<Vec<OpenTarget>> {
    let rows: Vec<Row> = on!(tx, |c| sqlx::query_as(select_open!("and t.agent_id = $1"))
        .bind(agent.uuid())
        .fetch_all(c)
        .await)?;
    Ok(rows.into_iter().map(OpenTarget::from).collect())
}

/// Which agent runs which stack, with what was decided there about losses. There may be a million of them, so nothing else of
/// them is read.
pub(crate) async fn all_active(tx: &mut Tx) -> Result<Vec<(AgentId, StackId, Option<Decided>)>> {
    let rows: Vec<(Uuid, Uuid, Option<Json<Decided>>)> = on!(tx, |c| sqlx::query_as(
        "select agent_id, stack_id, decided from agent_targets where state = 'active'"
    )
    .fetch_all(c)
    .await)?;
    let active = rows.into_iter().map(|(agent, stack, decided)| {
        let decided = decided.map(|Json(decided)| decided);
        (agent.into(), stack.into(), decided)
    });
    Ok(active.collect())
}

/// Every target whose agent is to remove its stack.
pub(crate) async fn all_removing(tx: &mut Tx) -> Result<Vec<OpenTarget>> {
    let rows: Vec<Row> = on!(tx, |c| {
        sqlx::query_as(select_open!("and t.state = 'removing'"))
            .fetch_all(c)
            .await
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
pub(crate) async fn end(
    id: AgentTargetId,
    ending: &Ending,
    approval: Option<&Approval>,
    tx: &mut Tx,
) -> Result<()> {
    on!(tx, |c| {
        sqlx::query(
        "update agent_targets
         set state = 'removing', policy = $2, allow_delete = $3, removal_revision = $4, ended_at = $5,
             approved = $6
         where id = $1 and state = 'active'"
    )
    .bind(id.uuid())
    .bind(Word(ending.policy))
    .bind(Json(&ending.allow_delete))
    .bind(sql(ending.revision))
    .bind(ending.now.to_sqlx())
    .bind(approval.map(Json))
    .execute(c)
    .await
    .map(drop)
    })?;
    Ok(())
}

/// How many agents run a stack.
pub(crate) async fn count(stack: StackId, tx: &mut Tx) -> Result<u64> {
    let (count,): (i64,) = on!(tx, |c| sqlx::query_as(
        "select count(*) from agent_targets where stack_id = $1 and state = 'active'"
    )
    .bind(stack.uuid())
    .fetch_one(c)
    .await)?;
    Ok(number(count))
}

/// The agents that were named directly for a deleted stack, lost it by its deletion, and have not confirmed that.
pub(crate) async fn direct_until_deleted(stack: StackId, tx: &mut Tx) -> Result<Vec<AgentId>> {
    let rows: Vec<(Uuid,)> = on!(tx, |c| {
        sqlx::query_as(
        "select t.agent_id from agent_targets t join stacks s on s.id = t.stack_id
         where t.stack_id = $1 and t.state = 'removing' and t.removal_revision = s.changed_revision and t.direct
         order by t.agent_id"
    )
    .bind(stack.uuid())
    .fetch_all(c)
    .await
    })?;
    Ok(rows.into_iter().map(|(agent,)| agent.into()).collect())
}

/// Says yes to a removal.
pub(crate) async fn approve(id: AgentTargetId, approval: &Approval, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "update agent_targets set approved = $2 where id = $1 and state = 'removing'"
    )
    .bind(id.uuid())
    .bind(Json(approval))
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// Lets the objects of a removal stay.
pub(crate) async fn orphan(id: AgentTargetId, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "update agent_targets set policy = $2 where id = $1 and state = 'removing'"
    )
    .bind(id.uuid())
    .bind(Word(OnRemove::Orphan))
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// Keeps what was decided about the losses of an active target.
pub(crate) async fn decide(id: AgentTargetId, decided: &Decided, tx: &mut Tx) -> Result<()> {
    let decided = (!decided.is_empty()).then_some(Json(decided));
    on!(tx, |c| sqlx::query(
        "update agent_targets set decided = $2 where id = $1 and state = 'active'"
    )
    .bind(id.uuid())
    .bind(decided)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// What was decided about the losses of a stack, at each agent where something was.
pub(crate) async fn decided(
    stack: StackId,
    tx: &mut Tx,
) -> Result<Vec<(AgentTargetId, AgentId, Decided)>> {
    let rows: Vec<(Uuid, Uuid, Json<Decided>)> = on!(tx, |c| sqlx::query_as(
        "select id, agent_id, decided from agent_targets
         where stack_id = $1 and state = 'active' and decided is not null"
    )
    .bind(stack.uuid())
    .fetch_all(c)
    .await)?;
    let read = |(id, agent, Json(decided)): (Uuid, Uuid, _)| (id.into(), agent.into(), decided);
    Ok(rows.into_iter().map(read).collect())
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
