use brokkr_core::KeyId;
use brokkr_core::pak::{Pak, PakHash, Role};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use uuid::Uuid;

use super::{Tx, Word, on};
use crate::error::{Error, Result};

/// A key as the broker knows it.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) id: KeyId,
    pub(crate) role: Role,
    /// The agent or generator that it belongs to; none for an admin.
    pub(crate) owner: Option<Uuid>,
    pub(crate) hash: PakHash,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    role: Word<Role>,
    owner_id: Option<Uuid>,
    hash: Vec<u8>,
}

impl TryFrom<Row> for Key {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let hash: [u8; 32] = row
            .hash
            .try_into()
            .map_err(|_| Error::internal(anyhow::anyhow!("a key's hash has a wrong length")))?;
        Ok(Self {
            id: row.id.into(),
            role: row.role.0,
            owner: row.owner_id,
            hash: hash.into(),
        })
    }
}

pub(crate) async fn insert(
    pak: &Pak,
    role: Role,
    owner: Option<Uuid>,
    now: Timestamp,
    tx: &mut Tx,
) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "insert into keys (id, role, owner_id, hash, created_at) values ($1, $2, $3, $4, $5)"
    )
    .bind(pak.id().uuid())
    .bind(Word(role))
    .bind(owner)
    .bind(pak.hash().as_bytes().as_slice())
    .bind(now.to_sqlx())
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// Revokes all keys of an agent or a generator, and names them.
pub(crate) async fn revoke_all_of(owner: Uuid, now: Timestamp, tx: &mut Tx) -> Result<Vec<KeyId>> {
    let rows: Vec<(Uuid,)> = on!(tx, |c| {
        sqlx::query_as(
        "update keys set revoked_at = $2 where owner_id = $1 and revoked_at is null returning id"
    )
    .bind(owner)
    .bind(now.to_sqlx())
    .fetch_all(c)
    .await
    })?;
    Ok(rows.into_iter().map(|(id,)| id.into()).collect())
}

/// A key that is still good.
pub(crate) async fn find(id: KeyId, tx: &mut Tx) -> Result<Option<Key>> {
    let row: Option<Row> = on!(tx, |c| sqlx::query_as(
        "select id, role, owner_id, hash from keys where id = $1 and revoked_at is null"
    )
    .bind(id.uuid())
    .fetch_optional(c)
    .await)?;
    row.map(Key::try_from).transpose()
}

/// Every key that is still good.
pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<Key>> {
    let rows: Vec<Row> = on!(tx, |c| sqlx::query_as(
        "select id, role, owner_id, hash from keys where revoked_at is null"
    )
    .fetch_all(c)
    .await)?;
    rows.into_iter().map(Key::try_from).collect()
}

/// Whether there is a key with which somebody can administer this broker.
pub(crate) async fn any_admin(tx: &mut Tx) -> Result<bool> {
    let row: Option<(Uuid,)> = on!(tx, |c| sqlx::query_as(
        "select id from keys where role = 'admin' and revoked_at is null limit 1"
    )
    .fetch_optional(c)
    .await)?;
    Ok(row.is_some())
}
