use brokkr_core::wire::DeploymentObject;
use brokkr_core::{DeploymentObjectId, Digest, ObjectKey, StackId};
use jiff_sqlx::ToSqlx;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Tx, contents, number, on, sql};
use crate::error::{Error, Result};
use crate::page::Window;
use crate::scope::Scope;

/// A deployment object as the database keeps it.
#[derive(Debug, Clone)]
pub(crate) struct DeploymentObjectRow {
    /// What everybody may read of it.
    pub(crate) object: DeploymentObject,
    pub(crate) owner: Uuid,
    /// Objects of kept kinds that may be deleted where they are no longer in the content.
    pub(crate) allow_delete: Vec<ObjectKey>,
    /// Objects that somebody agreed to lose, where they are no longer in the content.
    pub(crate) approved_losses: Vec<ObjectKey>,
}

#[derive(sqlx::FromRow)]
struct ObjectRow {
    id: Uuid,
    stack_id: Uuid,
    sequence: i64,
    digest: Vec<u8>,
    size: i64,
    object_count: i64,
    default_namespace: Option<String>,
    author: String,
    message: Option<String>,
    created_at: jiff_sqlx::Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    #[sqlx(flatten)]
    object: ObjectRow,
    owner_id: Uuid,
    allow_delete: Json<Vec<ObjectKey>>,
    approved_losses: Json<Vec<ObjectKey>>,
}

#[derive(sqlx::FromRow)]
struct WithObjects {
    #[sqlx(flatten)]
    row: Row,
    objects: Option<Json<Vec<ObjectKey>>>,
}

impl TryFrom<ObjectRow> for DeploymentObject {
    type Error = Error;

    fn try_from(row: ObjectRow) -> Result<Self> {
        Ok(Self {
            id: row.id.into(),
            stack: row.stack_id.into(),
            sequence: number(row.sequence),
            digest: Digest::try_from(row.digest).map_err(Error::internal)?,
            size: number(row.size),
            objects: u32::try_from(row.object_count).unwrap_or(u32::MAX),
            default_namespace: row.default_namespace,
            author: row.author,
            message: row.message,
            created_at: row.created_at.to_jiff(),
        })
    }
}

impl TryFrom<Row> for DeploymentObjectRow {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            object: row.object.try_into()?,
            owner: row.owner_id,
            allow_delete: row.allow_delete.0,
            approved_losses: row.approved_losses.0,
        })
    }
}

pub(crate) async fn insert(row: &DeploymentObjectRow, tx: &mut Tx) -> Result<()> {
    let object = &row.object;
    on!(tx, |c| {
        sqlx::query(
        "insert into deployment_objects (id, stack_id, owner_id, sequence, digest, size, object_count,
             default_namespace, allow_delete, approved_losses, author, message, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
    )
    .bind(object.id.uuid())
    .bind(object.stack.uuid())
    .bind(row.owner)
    .bind(sql(object.sequence))
    .bind(object.digest.as_bytes().as_slice())
    .bind(sql(object.size))
    .bind(i64::from(object.objects))
    .bind(object.default_namespace.as_deref())
    .bind(Json(&row.allow_delete))
    .bind(Json(&row.approved_losses))
    .bind(object.author.as_str())
    .bind(object.message.as_deref())
    .bind(object.created_at.to_sqlx())
    .execute(c)
    .await
    .map(drop)
    })?;
    Ok(())
}

pub(crate) async fn find(
    id: DeploymentObjectId,
    scope: &Scope,
    tx: &mut Tx,
) -> Result<DeploymentObjectRow> {
    let row: Option<Row> = on!(tx, |c| sqlx::query_as(
        "select * from deployment_objects where id = $1 and ($2 is null or owner_id = $2)"
    )
    .bind(id.uuid())
    .bind(scope.only())
    .fetch_optional(c)
    .await)?;
    row.map(DeploymentObjectRow::try_from)
        .transpose()?
        .ok_or(Error::NotFound("deployment object"))
}

/// One snapshot of a stack that the caller was found to see, with the keys of its objects.
pub(crate) async fn with_objects(
    stack: StackId,
    sequence: u64,
    tx: &mut Tx,
) -> Result<(DeploymentObjectRow, Vec<ObjectKey>)> {
    let row: Option<WithObjects> = on!(tx, |c| sqlx::query_as(
        "select d.*, c.objects from deployment_objects d
         left join contents c on c.owner_id = d.owner_id and c.digest = d.digest
         where d.stack_id = $1 and d.sequence = $2"
    )
    .bind(stack.uuid())
    .bind(sql(sequence))
    .fetch_optional(c)
    .await)?;
    let found = row.ok_or(Error::NotFound("deployment object"))?;
    let Some(Json(objects)) = found.objects else {
        return Err(contents::missing());
    };
    Ok((found.row.try_into()?, objects))
}

/// Snapshots of a stack that the caller was found to see, newest first.
pub(crate) async fn history(
    stack: StackId,
    window: Window<u64>,
    tx: &mut Tx,
) -> Result<Vec<DeploymentObject>> {
    let rows: Vec<ObjectRow> = on!(tx, |c| {
        sqlx::query_as(
        "select id, stack_id, sequence, digest, size, object_count, default_namespace, author, message, created_at
         from deployment_objects where stack_id = $1 and sequence < $2
         order by sequence desc limit $3"
    )
    .bind(stack.uuid())
    .bind(sql(window.beyond))
    .bind(window.rows())
    .fetch_all(c)
    .await
    })?;
    rows.into_iter().map(DeploymentObject::try_from).collect()
}
