use brokkr_core::labels::{Annotations, Labels};
use brokkr_core::name::Reference;
use brokkr_core::targeting::{AgentScope, StackTraits, Targeting};
use brokkr_core::wire::{Stack, StackHead, StackOptions};
use brokkr_core::{AgentId, DeploymentObjectId, Digest, Name, ServiceAccount, StackId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::types::Json;
use uuid::Uuid;

use super::schema::what_is_set;
use super::{Tx, Word, number, on, sql};
use crate::error::{Error, Result, name_gone, name_taken};
use crate::page::Window;
use crate::scope::Scope;

/// Every question about stacks reads the same columns.
macro_rules! select_stacks {
    ($($rest:literal),+) => {
        concat!(
            "select s.id, s.owner_id, g.name as generator, g.scope, g.service_account as generator_account, s.name, s.edited_revision, s.labels, s.annotations,
                    s.targeting, s.options, s.head_id, s.head_sequence, d.digest as head_digest,
                    s.created_at, s.deleted_at
             from stacks s left join generators g on g.id = s.owner_id
                  left join deployment_objects d on d.id = s.head_id",
            " ",
            $($rest),+
        )
    };
}

/// Looks for a stack in the caller's scope, among some of all.
macro_rules! find_among {
    ($among:literal, $reference:expr, $scope:expr, $tx:expr) => {
        match $reference {
            Reference::Id(id) => on!($tx, |c| {
                sqlx::query_as::<_, Row>(select_stacks!(
                    "where s.id = $1 and ($2 is null or s.owner_id = $2) and ",
                    $among
                ))
                .bind(id)
                .bind($scope.only())
                .fetch_optional(c)
                .await
            })?,
            Reference::Named { owner: None, name } => on!($tx, |c| {
                sqlx::query_as::<_, Row>(select_stacks!(
                    "where s.name = $1 and s.owner_id = $2 and ",
                    $among
                ))
                .bind(name.as_str())
                .bind($scope.owner())
                .fetch_optional(c)
                .await
            })?,
            Reference::Named {
                owner: Some(owner),
                name,
            } => on!($tx, |c| {
                sqlx::query_as::<_, Row>(select_stacks!(
                    "where s.name = $1 and g.name = $2 and ($3 is null or s.owner_id = $3) and ",
                    $among
                ))
                .bind(name.as_str())
                .bind(owner.as_str())
                .bind($scope.only())
                .fetch_optional(c)
                .await
            })?,
        }
    };
}

/// A stack as the database keeps it.
#[derive(Debug, Clone)]
pub(crate) struct StackRow {
    /// What everybody may read of it.
    pub(crate) stack: Stack,
    pub(crate) owner: Uuid,
    /// Which agents it may reach; none if the operators own it.
    pub(crate) scope: Option<AgentScope>,
}

impl StackRow {
    /// What `same` compares agents with.
    pub(crate) const fn traits(&self) -> StackTraits<'_> {
        StackTraits {
            labels: &self.stack.labels,
            annotations: &self.stack.annotations,
        }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    owner_id: Uuid,
    generator: Option<Word<Name>>,
    scope: Option<Json<AgentScope>>,
    generator_account: Option<Word<ServiceAccount>>,
    name: Word<Name>,
    edited_revision: i64,
    labels: Json<Labels>,
    annotations: Json<Annotations>,
    targeting: Json<Targeting>,
    options: Json<StackOptions>,
    head_id: Option<Uuid>,
    head_sequence: i64,
    head_digest: Option<Vec<u8>>,
    created_at: jiff_sqlx::Timestamp,
    deleted_at: Option<jiff_sqlx::Timestamp>,
}

impl TryFrom<Row> for StackRow {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let head = match (row.head_id, row.head_digest) {
            (Some(id), Some(digest)) => Some(StackHead {
                deployment_object: id.into(),
                sequence: number(row.head_sequence),
                digest: Digest::try_from(digest).map_err(Error::internal)?,
            }),
            _ => None,
        };
        let stack = Stack {
            id: row.id.into(),
            name: row.name.0,
            generator: row.generator.map(|name| name.0),
            revision: number(row.edited_revision),
            labels: row.labels.0,
            annotations: row.annotations.0,
            targeting: row.targeting.0,
            options: row.options.0,
            generator_account: row.generator_account.map(|account| account.0),
            head,
            created_at: row.created_at.to_jiff(),
            deleted_at: row.deleted_at.map(jiff_sqlx::Timestamp::to_jiff),
        };
        Ok(Self {
            stack,
            owner: row.owner_id,
            scope: row.scope.map(|Json(scope)| scope),
        })
    }
}

pub(crate) async fn insert(stack: &Stack, owner: Uuid, tx: &mut Tx) -> Result<()> {
    let options = what_is_set(&stack.options).map_err(Error::internal)?;
    on!(tx, |c| sqlx::query(
        "insert into stacks (id, owner_id, name, labels, annotations, targeting, options,
             changed_revision, edited_revision, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)"
    )
    .bind(stack.id.uuid())
    .bind(owner)
    .bind(stack.name.as_str())
    .bind(Json(&stack.labels))
    .bind(Json(&stack.annotations))
    .bind(Json(&stack.targeting))
    .bind(Json(&options))
    .bind(sql(stack.revision))
    .bind(stack.created_at.to_sqlx())
    .execute(c)
    .await
    .map(drop))
    .map_err(name_taken(&stack.name))
}

/// Whose a stack is or was: a generator's id, or that of the operators.
pub(crate) async fn owner(id: StackId, tx: &mut Tx) -> Result<Option<Uuid>> {
    let row: Option<(Uuid,)> = on!(tx, |c| sqlx::query_as(
        "select owner_id from stacks where id = $1"
    )
    .bind(id.uuid())
    .fetch_optional(c)
    .await)?;
    Ok(row.map(|(owner,)| owner))
}

/// Finds a stack in the caller's scope. A bare name is one of the caller's own; `owner:name` is for those
/// who see several owners.
pub(crate) async fn find(reference: &Reference, scope: &Scope, tx: &mut Tx) -> Result<StackRow> {
    let row = find_among!(
        "s.deleted_at is null and g.deleted_at is null",
        reference,
        scope,
        tx
    );
    row.map(StackRow::try_from)
        .transpose()?
        .ok_or(Error::NotFound("stack"))
}

/// Finds a stack in the caller's scope, also one that was deleted: of several of one name the living one, else the one
/// that was deleted last.
pub(crate) async fn find_ever(
    reference: &Reference,
    scope: &Scope,
    tx: &mut Tx,
) -> Result<StackRow> {
    match find(reference, scope, tx).await {
        Err(Error::NotFound(_)) => {}
        found => return found,
    }
    let row = find_among!(
        "s.deleted_at is not null order by s.changed_revision desc limit 1",
        reference,
        scope,
        tx
    );
    row.map(StackRow::try_from)
        .transpose()?
        .ok_or(Error::NotFound("stack"))
}

/// A deleted stack in the caller's scope; none if there is no such stack, or if its generator was deleted too.
pub(crate) async fn find_deleted(
    id: StackId,
    scope: &Scope,
    tx: &mut Tx,
) -> Result<Option<StackRow>> {
    let row: Option<Row> = on!(tx, |c| {
        sqlx::query_as(select_stacks!(
            "where s.id = $1 and s.deleted_at is not null and g.deleted_at is null
                 and ($2 is null or s.owner_id = $2)"
        ))
        .bind(id.uuid())
        .bind(scope.only())
        .fetch_optional(c)
        .await
    })?;
    row.map(StackRow::try_from).transpose()
}

/// The stacks of a scope, or those of it that were deleted and can be brought back.
pub(crate) async fn list(
    deleted: bool,
    scope: &Scope,
    window: Window<Uuid>,
    tx: &mut Tx,
) -> Result<Vec<Stack>> {
    let rows: Vec<Row> = if deleted {
        on!(tx, |c| {
            sqlx::query_as(select_stacks!(
            "where s.deleted_at is not null and g.deleted_at is null and ($1 is null or s.owner_id = $1)
                 and s.id > $2 order by s.id limit $3"
        ))
        .bind(scope.only())
        .bind(window.beyond)
        .bind(window.rows())
        .fetch_all(c)
        .await
        })?
    } else {
        on!(tx, |c| sqlx::query_as(select_stacks!(
            "where s.deleted_at is null and ($1 is null or s.owner_id = $1)
                 and s.id > $2 order by s.id limit $3"
        ))
        .bind(scope.only())
        .bind(window.beyond)
        .bind(window.rows())
        .fetch_all(c)
        .await)?
    };
    rows.into_iter()
        .map(|row| Ok(StackRow::try_from(row)?.stack))
        .collect()
}

/// The stacks that run on an agent, and those with a rule that may match it.
pub(crate) async fn that_may_concern(agent: AgentId, tx: &mut Tx) -> Result<Vec<StackRow>> {
    let rows: Vec<Row> = on!(tx, |c| sqlx::query_as(select_stacks!(
        "where s.deleted_at is null and s.id in (
             select stack_id from agent_targets where agent_id = $1 and state = 'active'
             union select stack_id from rule_anchors where kind is null
             union select r.stack_id from agent_traits t
                   join rule_anchors r on r.kind = t.kind and r.key = t.key
                        and (r.value is null or r.value = t.value)
                   where t.agent_id = $1)
         order by s.id"
    ))
    .bind(agent.uuid())
    .fetch_all(c)
    .await)?;
    rows.into_iter().map(StackRow::try_from).collect()
}

/// All stacks of a generator.
pub(crate) async fn of_owner(owner: Uuid, tx: &mut Tx) -> Result<Vec<StackRow>> {
    let rows: Vec<Row> = on!(tx, |c| sqlx::query_as(select_stacks!(
        "where s.owner_id = $1 and s.deleted_at is null order by s.id"
    ))
    .bind(owner)
    .fetch_all(c)
    .await)?;
    rows.into_iter().map(StackRow::try_from).collect()
}

/// How many stacks an owner has.
pub(crate) async fn count(owner: Uuid, tx: &mut Tx) -> Result<u64> {
    let (count,): (i64,) = on!(tx, |c| sqlx::query_as(
        "select count(*) from stacks where owner_id = $1 and deleted_at is null"
    )
    .bind(owner)
    .fetch_one(c)
    .await)?;
    Ok(number(count))
}

/// Replaces all that people may change of a stack.
pub(crate) async fn update(stack: &Stack, tx: &mut Tx) -> Result<()> {
    let options = what_is_set(&stack.options).map_err(Error::internal)?;
    on!(tx, |c| {
        sqlx::query(
        "update stacks set labels = $2, annotations = $3, targeting = $4, options = $5, changed_revision = $6,
             edited_revision = $6
         where id = $1"
    )
    .bind(stack.id.uuid())
    .bind(Json(&stack.labels))
    .bind(Json(&stack.annotations))
    .bind(Json(&stack.targeting))
    .bind(Json(&options))
    .bind(sql(stack.revision))
    .execute(c)
    .await
    .map(drop)
    })?;
    Ok(())
}

/// Makes a deployment object a stack's head, and answers whether there are decisions that it may overtake.
pub(crate) async fn set_head(
    id: StackId,
    head: DeploymentObjectId,
    sequence: u64,
    revision: u64,
    tx: &mut Tx,
) -> Result<Decisions> {
    let row: Option<(bool,)> = on!(tx, |c| {
        sqlx::query_as(
        "update stacks set head_id = $2, head_sequence = $3, changed_revision = $4 where id = $1
         returning exists (select 1 from agent_targets t where t.stack_id = stacks.id and t.decided is not null)"
    )
    .bind(id.uuid())
    .bind(head.uuid())
    .bind(sql(sequence))
    .bind(sql(revision))
    .fetch_optional(c)
    .await
    })?;
    Ok(match row {
        Some((true,)) => Decisions::Some,
        _ => Decisions::None,
    })
}

/// Whether anything was decided about losses of a stack at an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decisions {
    None,
    Some,
}

/// What agents are told of a stack changed, and nothing that people may change of it.
pub(crate) async fn mark_changed(id: StackId, revision: u64, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "update stacks set changed_revision = $2 where id = $1"
    )
    .bind(id.uuid())
    .bind(sql(revision))
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// Takes the deletion back.
pub(crate) async fn undelete(stack: &Stack, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "update stacks set deleted_at = null, changed_revision = $2, edited_revision = $2 where id = $1"
    )
    .bind(stack.id.uuid())
    .bind(sql(stack.revision))
    .execute(c)
    .await
    .map(drop))
    .map_err(name_gone(&stack.name))
}

pub(crate) async fn delete(id: StackId, now: Timestamp, revision: u64, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "update stacks set deleted_at = $2, changed_revision = $3 where id = $1"
    )
    .bind(id.uuid())
    .bind(now.to_sqlx())
    .bind(sql(revision))
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}
