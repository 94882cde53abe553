use brokkr_core::name::Reference;
use brokkr_core::wire::{Stack, StackHead, StackOptions, TargetStack};
use brokkr_core::{DeploymentObjectId, Digest, Name, ObjectKey, StackId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Tx, Word, number, on, sql};
use crate::error::{Error, Result, name_taken};
use crate::page::Window;
use crate::scope::Scope;

/// Every question about stacks reads the same columns.
macro_rules! select_stacks {
    ($rest:literal) => {
        concat!(
            "select s.id, s.owner_id, g.name as generator, s.name, s.options, s.head_id,
                    s.head_sequence, d.digest as head_digest, s.created_at
             from stacks s left join generators g on g.id = s.owner_id
                  left join deployment_objects d on d.id = s.head_id",
            " ",
            $rest
        )
    };
}

/// A stack as the database keeps it.
#[derive(Debug, Clone)]
pub(crate) struct StackRow {
    /// What everybody may read of it.
    pub(crate) stack: Stack,
    pub(crate) owner: Uuid,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    owner_id: Uuid,
    generator: Option<Word<Name>>,
    name: Word<Name>,
    options: Json<StackOptions>,
    head_id: Option<Uuid>,
    head_sequence: i64,
    head_digest: Option<Vec<u8>>,
    created_at: jiff_sqlx::Timestamp,
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
            options: row.options.0,
            head,
            created_at: row.created_at.to_jiff(),
        };
        Ok(Self {
            stack,
            owner: row.owner_id,
        })
    }
}

pub(crate) async fn insert(stack: &Stack, owner: Uuid, revision: u64, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "insert into stacks (id, owner_id, name, options, changed_revision, created_at)
         values ($1, $2, $3, $4, $5, $6)"
    )
    .bind(stack.id.uuid())
    .bind(owner)
    .bind(stack.name.as_str())
    .bind(Json(&stack.options))
    .bind(sql(revision))
    .bind(stack.created_at.to_sqlx())
    .execute(c)
    .await
    .map(drop))
    .map_err(name_taken(&stack.name))
}

/// Finds a stack in the caller's scope. A bare name is one of the caller's own; `owner:name` is for those
/// who see several owners.
pub(crate) async fn find(reference: &Reference, scope: &Scope, tx: &mut Tx) -> Result<StackRow> {
    let row: Option<Row> = match reference {
        Reference::Id(id) => on!(tx, |c| {
            sqlx::query_as(select_stacks!(
                "where s.id = $1 and s.deleted_at is null and ($2 is null or s.owner_id = $2)"
            ))
            .bind(id)
            .bind(scope.only())
            .fetch_optional(c)
            .await
        })?,
        Reference::Named { owner: None, name } => on!(tx, |c| {
            sqlx::query_as(select_stacks!(
                "where s.name = $1 and s.owner_id = $2 and s.deleted_at is null"
            ))
            .bind(name.as_str())
            .bind(scope.owner())
            .fetch_optional(c)
            .await
        })?,
        Reference::Named {
            owner: Some(owner),
            name,
        } => on!(tx, |c| {
            sqlx::query_as(
                select_stacks!("where s.name = $1 and g.name = $2 and g.deleted_at is null and s.deleted_at is null and ($3 is null or s.owner_id = $3)")
            )
            .bind(name.as_str())
            .bind(owner.as_str())
            .bind(scope.only())
            .fetch_optional(c)
            .await
        })?,
    };
    row.map(StackRow::try_from)
        .transpose()?
        .ok_or(Error::NotFound("stack"))
}

pub(crate) async fn list(scope: &Scope, window: &Window, tx: &mut Tx) -> Result<Vec<Stack>> {
    let rows: Vec<Row> = on!(tx, |c| {
        sqlx::query_as(
        select_stacks!("where s.deleted_at is null and ($1 is null or s.owner_id = $1) and s.id > $2 order by s.id limit $3")
    )
    .bind(scope.only())
    .bind(window.after)
    .bind(window.rows())
    .fetch_all(c)
    .await
    })?;
    rows.into_iter()
        .map(|row| Ok(StackRow::try_from(row)?.stack))
        .collect()
}

/// Whether a generator still has a stack.
pub(crate) async fn any_of(owner: Uuid, tx: &mut Tx) -> Result<bool> {
    let row: Option<(Uuid,)> = on!(tx, |c| sqlx::query_as(
        "select id from stacks where owner_id = $1 and deleted_at is null limit 1"
    )
    .bind(owner)
    .fetch_optional(c)
    .await)?;
    Ok(row.is_some())
}

pub(crate) async fn set_options(
    id: StackId,
    options: &StackOptions,
    revision: u64,
    tx: &mut Tx,
) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "update stacks set options = $2, changed_revision = $3 where id = $1"
    )
    .bind(id.uuid())
    .bind(Json(options))
    .bind(sql(revision))
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

pub(crate) async fn set_head(
    id: StackId,
    head: DeploymentObjectId,
    sequence: u64,
    revision: u64,
    tx: &mut Tx,
) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "update stacks set head_id = $2, head_sequence = $3, changed_revision = $4 where id = $1"
    )
    .bind(id.uuid())
    .bind(head.uuid())
    .bind(sql(sequence))
    .bind(sql(revision))
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
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

/// The fleet index reads the same columns of one stack and of all.
macro_rules! select_entries {
    ($rest:literal) => {
        concat!(
            "select s.id, s.name, s.options, s.changed_revision, s.head_id, s.head_sequence,
                    d.digest, d.size, d.default_namespace, d.allow_delete
             from stacks s left join deployment_objects d on d.id = s.head_id
             where s.deleted_at is null",
            " ",
            $rest
        )
    };
}

/// What the fleet index holds of a stack.
#[derive(Debug, Clone)]
pub(crate) struct IndexRow {
    pub(crate) id: StackId,
    pub(crate) changed_revision: u64,
    /// What agents that run the stack are told; none before the first publish.
    pub(crate) entry: Option<TargetStack>,
}

#[derive(sqlx::FromRow)]
struct IndexColumns {
    id: Uuid,
    name: Word<Name>,
    options: Json<StackOptions>,
    changed_revision: i64,
    head_id: Option<Uuid>,
    head_sequence: i64,
    digest: Option<Vec<u8>>,
    size: Option<i64>,
    default_namespace: Option<String>,
    allow_delete: Option<Json<Vec<ObjectKey>>>,
}

impl TryFrom<IndexColumns> for IndexRow {
    type Error = Error;

    fn try_from(row: IndexColumns) -> Result<Self> {
        let id = row.id.into();
        let entry = match (row.head_id, row.digest) {
            (Some(head), Some(digest)) => Some(TargetStack {
                stack: id,
                name: row.name.0,
                deployment_object: head.into(),
                sequence: number(row.head_sequence),
                digest: Digest::try_from(digest).map_err(Error::internal)?,
                size: row.size.map_or(0, number),
                default_namespace: row.default_namespace,
                create_namespace: row.options.0.create_namespace,
                allow_delete: row.allow_delete.map_or_else(Vec::new, |keys| keys.0),
                requires: Vec::new(),
            }),
            _ => None,
        };
        Ok(Self {
            id,
            changed_revision: number(row.changed_revision),
            entry,
        })
    }
}

/// A stack for the fleet index; none if it was deleted.
pub(crate) async fn index_row(id: StackId, tx: &mut Tx) -> Result<Option<IndexRow>> {
    let row: Option<IndexColumns> = on!(tx, |c| sqlx::query_as(select_entries!("and s.id = $1"))
        .bind(id.uuid())
        .fetch_optional(c)
        .await)?;
    row.map(IndexRow::try_from).transpose()
}

/// Every stack for the fleet index.
pub(crate) async fn index_rows(tx: &mut Tx) -> Result<Vec<IndexRow>> {
    let rows: Vec<IndexColumns> = on!(tx, |c| sqlx::query_as(select_entries!(""))
        .fetch_all(c)
        .await)?;
    rows.into_iter().map(IndexRow::try_from).collect()
}
