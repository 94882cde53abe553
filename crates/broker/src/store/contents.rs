use brokkr_core::{Digest, ObjectKey};
use sqlx::types::Json;
use uuid::Uuid;

use super::{Tx, on};
use crate::error::{Error, Result};

/// Keeps a content; one that is there already stays as it is. Answers how many bytes that added.
pub(crate) async fn insert(
    owner: Uuid,
    digest: &Digest,
    compressed: &[u8],
    objects: &[ObjectKey],
    tx: &mut Tx,
) -> Result<u64> {
    let inserted = on!(tx, |c| sqlx::query(
        "insert into contents (owner_id, digest, body, objects) values ($1, $2, $3, $4)
         on conflict (owner_id, digest) do nothing"
    )
    .bind(owner)
    .bind(digest.as_bytes().as_slice())
    .bind(compressed)
    .bind(Json(objects))
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?;
    Ok(inserted * compressed.len() as u64)
}

/// A content, compressed as it lies.
pub(crate) async fn body(owner: Uuid, digest: &Digest, tx: &mut Tx) -> Result<Vec<u8>> {
    let row: Option<(Vec<u8>,)> = on!(tx, |c| sqlx::query_as(
        "select body from contents where owner_id = $1 and digest = $2"
    )
    .bind(owner)
    .bind(digest.as_bytes().as_slice())
    .fetch_optional(c)
    .await)?;
    row.map(|(body,)| body).ok_or_else(missing)
}

/// No deployment object is without its content.
pub(super) fn missing() -> Error {
    Error::internal(anyhow::anyhow!("a deployment object's content is missing"))
}
