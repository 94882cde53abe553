use brokkr_core::name::Reference;
use brokkr_core::targeting::AgentScope;
use brokkr_core::wire::{Generator, Quota};
use brokkr_core::{GeneratorId, Name, ServiceAccount};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Tx, Word, number, on, sql};
use crate::error::{Error, Result, name_taken};
use crate::page::Window;

/// Every question about generators reads the same columns.
macro_rules! select_generators {
    ($rest:literal) => {
        concat!(
            "select id, name, edited_revision, scope, quota, service_account, created_at from generators",
            " ",
            $rest
        )
    };
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: Word<Name>,
    edited_revision: i64,
    scope: Json<AgentScope>,
    quota: Json<Quota>,
    service_account: Option<Word<ServiceAccount>>,
    created_at: jiff_sqlx::Timestamp,
}

impl From<Row> for Generator {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.into(),
            name: row.name.0,
            revision: number(row.edited_revision),
            scope: row.scope.0,
            quota: row.quota.0,
            service_account: row.service_account.map(|account| account.0),
            created_at: row.created_at.to_jiff(),
        }
    }
}

pub(crate) async fn insert(generator: &Generator, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "insert into generators (id, name, scope, quota, service_account, created_at, edited_revision)
         values ($1, $2, $3, $4, $5, $6, $7)"
    )
    .bind(generator.id.uuid())
    .bind(generator.name.as_str())
    .bind(Json(&generator.scope))
    .bind(Json(generator.quota))
    .bind(generator.service_account.as_ref().map(Word))
    .bind(generator.created_at.to_sqlx())
    .bind(sql(generator.revision))
    .execute(c)
    .await
    .map(drop))
    .map_err(name_taken(&generator.name))
}

pub(crate) async fn find(reference: &Reference, tx: &mut Tx) -> Result<Generator> {
    let row: Option<Row> = match reference {
        Reference::Id(id) => on!(tx, |c| {
            sqlx::query_as(select_generators!("where id = $1 and deleted_at is null"))
                .bind(id)
                .fetch_optional(c)
                .await
        })?,
        Reference::Named { owner: Some(_), .. } => None,
        Reference::Named { owner: None, name } => on!(tx, |c| {
            sqlx::query_as(select_generators!("where name = $1 and deleted_at is null"))
                .bind(name.as_str())
                .fetch_optional(c)
                .await
        })?,
    };
    row.map(Generator::from).ok_or(Error::NotFound("generator"))
}

pub(crate) async fn list(window: Window<Uuid>, tx: &mut Tx) -> Result<Vec<Generator>> {
    let rows: Vec<Row> = on!(tx, |c| sqlx::query_as(select_generators!(
        "where deleted_at is null and id > $1 order by id limit $2"
    ))
    .bind(window.beyond)
    .bind(window.rows())
    .fetch_all(c)
    .await)?;
    Ok(rows.into_iter().map(Generator::from).collect())
}

pub(crate) async fn delete(id: GeneratorId, now: Timestamp, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "update generators set deleted_at = $2 where id = $1"
    )
    .bind(id.uuid())
    .bind(now.to_sqlx())
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// Replaces what may be changed of a generator.
pub(crate) async fn update(generator: &Generator, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| {
        sqlx::query(
        "update generators set scope = $2, quota = $3, service_account = $4, edited_revision = $5 where id = $1"
    )
    .bind(generator.id.uuid())
    .bind(Json(&generator.scope))
    .bind(Json(generator.quota))
    .bind(generator.service_account.as_ref().map(Word))
    .bind(sql(generator.revision))
    .execute(c)
    .await
    .map(drop)
    })?;
    Ok(())
}

/// Which agents a generator's stacks may reach, and which it sees.
pub(crate) async fn scope(id: GeneratorId, tx: &mut Tx) -> Result<AgentScope> {
    let generator = find(&Reference::Id(id.uuid()), tx).await?;
    Ok(generator.scope)
}

/// How much a generator may have.
pub(crate) async fn quota(id: GeneratorId, tx: &mut Tx) -> Result<Quota> {
    let generator = find(&Reference::Id(id.uuid()), tx).await?;
    Ok(generator.quota)
}

/// How much a generator has, and how much it may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) stored_bytes: u64,
    pub(crate) minute_publishes: u64,
    pub(crate) quota: Quota,
}

/// Counts a publish; nothing is counted of the operators' own.
pub(crate) async fn charge(
    owner: Uuid,
    added: u64,
    minute: i64,
    tx: &mut Tx,
) -> Result<Option<Usage>> {
    let row: Option<(i64, i64, Json<Quota>)> = on!(tx, |c| {
        sqlx::query_as(
        "update generators
         set stored_bytes = stored_bytes + $2,
             minute_publishes = case when minute = $3 then minute_publishes + 1 else 1 end, minute = $3
         where id = $1 returning stored_bytes, minute_publishes, quota"
    )
    .bind(owner)
    .bind(sql(added))
    .bind(minute)
    .fetch_optional(c)
    .await
    })?;
    Ok(
        row.map(|(stored_bytes, minute_publishes, Json(quota))| Usage {
            stored_bytes: number(stored_bytes),
            minute_publishes: number(minute_publishes),
            quota,
        }),
    )
}

/// A generator's name, if it has not been deleted.
pub(crate) async fn name(id: GeneratorId, tx: &mut Tx) -> Result<Option<Name>> {
    let row: Option<(Word<Name>,)> = on!(tx, |c| sqlx::query_as(
        "select name from generators where id = $1 and deleted_at is null"
    )
    .bind(id.uuid())
    .fetch_optional(c)
    .await)?;
    Ok(row.map(|(name,)| name.0))
}

/// Every generator's name.
pub(crate) async fn names(tx: &mut Tx) -> Result<Vec<(GeneratorId, Name)>> {
    let rows: Vec<(Uuid, Word<Name>)> = on!(tx, |c| sqlx::query_as(
        "select id, name from generators where deleted_at is null"
    )
    .fetch_all(c)
    .await)?;
    Ok(rows
        .into_iter()
        .map(|(id, name)| (id.into(), name.0))
        .collect())
}
