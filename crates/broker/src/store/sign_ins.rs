use brokkr_core::pak::{Pak, PakHash};
use brokkr_core::{KeyId, SignInId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use uuid::Uuid;

use super::{Tx, forget_before, on};
use crate::error::{Error, Result};

/// That somebody signed in, until when at the most, and as whom: it ends with the key.
#[derive(Debug, Clone)]
pub(crate) struct SignIn {
    pub(crate) id: SignInId,
    pub(crate) key: KeyId,
    pub(crate) hash: PakHash,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    key_id: Uuid,
    hash: Vec<u8>,
    created_at: jiff_sqlx::Timestamp,
    expires_at: jiff_sqlx::Timestamp,
}

impl TryFrom<Row> for SignIn {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let hash: [u8; 32] = row
            .hash
            .try_into()
            .map_err(|_| Error::internal(anyhow::anyhow!("a sign-in's hash has another length")))?;
        Ok(Self {
            id: row.id.into(),
            key: row.key_id.into(),
            hash: hash.into(),
            created_at: row.created_at.to_jiff(),
            expires_at: row.expires_at.to_jiff(),
        })
    }
}

/// Keeps that somebody signed in with a key. The token's own id names the sign-in.
pub(crate) async fn insert(
    token: &Pak,
    key: KeyId,
    now: Timestamp,
    expires_at: Timestamp,
    tx: &mut Tx,
) -> Result<SignInId> {
    on!(tx, |c| {
        sqlx::query(
        "insert into sign_ins (id, key_id, hash, created_at, expires_at) values ($1, $2, $3, $4, $5)"
    )
    .bind(token.id().uuid())
    .bind(key.uuid())
    .bind(token.hash().as_bytes().as_slice())
    .bind(now.to_sqlx())
    .bind(expires_at.to_sqlx())
    .execute(c)
    .await
    .map(drop)
    })?;
    Ok(token.id().uuid().into())
}

pub(crate) async fn find(id: SignInId, tx: &mut Tx) -> Result<Option<SignIn>> {
    let row: Option<Row> = on!(tx, |c| sqlx::query_as(
        "select id, key_id, hash, created_at, expires_at from sign_ins where id = $1"
    )
    .bind(id.uuid())
    .fetch_optional(c)
    .await)?;
    row.map(SignIn::try_from).transpose()
}

pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<SignIn>> {
    let rows: Vec<Row> = on!(tx, |c| sqlx::query_as(
        "select id, key_id, hash, created_at, expires_at from sign_ins"
    )
    .fetch_all(c)
    .await)?;
    rows.into_iter().map(SignIn::try_from).collect()
}

/// All but the newest sign-ins with a key. Their ids are as old as they are.
pub(crate) async fn surplus(key: KeyId, newest: i64, tx: &mut Tx) -> Result<Vec<SignInId>> {
    let rows: Vec<(Uuid,)> = on!(tx, |c| sqlx::query_as(
        "select id from sign_ins where key_id = $1
           and id not in (select id from sign_ins where key_id = $1 order by id desc limit $2)"
    )
    .bind(key.uuid())
    .bind(newest)
    .fetch_all(c)
    .await)?;
    Ok(rows.into_iter().map(|(id,)| id.into()).collect())
}

pub(crate) async fn delete(id: SignInId, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| sqlx::query("delete from sign_ins where id = $1")
        .bind(id.uuid())
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}

/// Forgets sign-ins that ended before a time: at most so many. Answers how many.
pub(crate) async fn forget(before: Timestamp, rows: i64, tx: &mut Tx) -> Result<u64> {
    let statement = "delete from sign_ins where expires_at < $1
       and id in (select id from sign_ins where expires_at < $1 order by expires_at limit $2)";
    forget_before(before, rows, statement, tx).await
}
