use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use uuid::Uuid;

use super::{Tx, forget_before, on};
use crate::error::{Error, Result};

/// What was asked for under a key, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// SHA-256 of the request.
    pub(crate) asked: [u8; 32],
    pub(crate) made: Uuid,
}

/// What a caller's key stands for, if it was used since a time.
pub(crate) async fn find(
    caller: Uuid,
    key: &str,
    since: Timestamp,
    tx: &mut Tx,
) -> Result<Option<Remembered>> {
    let row: Option<(Vec<u8>, Uuid)> = on!(tx, |c| sqlx::query_as(
        "select asked, made_id from idempotency
         where caller_id = $1 and key = $2 and created_at > $3"
    )
    .bind(caller)
    .bind(key)
    .bind(since.to_sqlx())
    .fetch_optional(c)
    .await)?;
    row.map(|(asked, made)| {
        let asked = asked.try_into();
        let wrong = |_| Error::internal(anyhow::anyhow!("a request's hash has a wrong length"));
        Ok(Remembered {
            asked: asked.map_err(wrong)?,
            made,
        })
    })
    .transpose()
}

/// Remembers a key, in the place of one that is too old to be found.
pub(crate) async fn insert(
    caller: Uuid,
    key: &str,
    remembered: &Remembered,
    now: Timestamp,
    tx: &mut Tx,
) -> Result<()> {
    on!(tx, |c| {
        sqlx::query(
        "insert into idempotency (caller_id, key, asked, made_id, created_at) values ($1, $2, $3, $4, $5)
         on conflict (caller_id, key) do update set asked = excluded.asked, made_id = excluded.made_id,
             created_at = excluded.created_at"
    )
    .bind(caller)
    .bind(key)
    .bind(remembered.asked.as_slice())
    .bind(remembered.made)
    .bind(now.to_sqlx())
    .execute(c)
    .await
    .map(drop)
    })?;
    Ok(())
}

/// Forgets keys that were used before a time: at most so many of them. Answers how many.
pub(crate) async fn forget(before: Timestamp, rows: i64, tx: &mut Tx) -> Result<u64> {
    let statement = "delete from idempotency where (caller_id, key) in (
         select caller_id, key from idempotency where created_at <= $1 limit $2
     )";
    forget_before(before, rows, statement, tx).await
}
