use brokkr_core::Digest;
use brokkr_core::wire::{AuditAction, AuditEntry, ChainedEntry};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::QueryBuilder;
use uuid::Uuid;

use super::rows::{BringRows as _, in_turn, pieces};
use super::{Tx, Word, number, on, sql};
use crate::audit::chained;
use crate::error::{Error, Result};
use crate::page::Window;

#[derive(sqlx::FromRow)]
struct Row {
    revision: i64,
    action: Word<AuditAction>,
    actor_id: Option<Uuid>,
    subject_id: Uuid,
    entry: String,
    hash: Vec<u8>,
}

/// An entry as it lies: the bytes that were hashed, and what it is found by.
#[derive(Debug, Clone)]
pub(crate) struct AuditRow {
    pub(crate) revision: u64,
    pub(crate) action: AuditAction,
    pub(crate) actor: Option<Uuid>,
    pub(crate) subject: Uuid,
    pub(crate) entry: String,
    pub(crate) hash: Digest,
}

/// The last entry that is not kept any more. The hash of the first kept one covers its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Forgotten {
    pub(crate) revision: u64,
    pub(crate) hash: Digest,
}

impl TryFrom<Row> for AuditRow {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            revision: number(row.revision),
            action: row.action.0,
            actor: row.actor_id,
            subject: row.subject_id,
            entry: row.entry,
            hash: Digest::try_from(row.hash).map_err(Error::internal)?,
        })
    }
}

impl AuditRow {
    /// The entry that comes after the one with this hash.
    pub(crate) fn after(before: Option<&Digest>, entry: &AuditEntry) -> Result<Self> {
        let text = serde_json::to_string(entry).map_err(Error::internal)?;
        Ok(Self {
            revision: entry.revision,
            action: entry.action,
            actor: entry.actor.id,
            subject: entry.subject.id,
            hash: chained(before, &text),
            entry: text,
        })
    }

    /// The entry, as the API shows it.
    pub(crate) fn read(&self) -> Result<ChainedEntry> {
        let entry = serde_json::from_str(&self.entry).map_err(Error::internal)?;
        Ok(ChainedEntry {
            entry,
            hash: self.hash,
        })
    }

    fn at(&self) -> Result<Timestamp> {
        self.read().map(|chained| chained.entry.at)
    }

    /// What an [`AuditAction::AuditForget`] says.
    pub(crate) fn forgets(&self) -> Result<Forgotten> {
        let after = self.read()?.entry.after.unwrap_or_default();
        serde_json::from_value(after).map_err(Error::internal)
    }
}

/// Appends entries to the chain.
pub(crate) async fn append(entries: &[AuditRow], tx: &mut Tx) -> Result<()> {
    let _: Vec<()> = on!(tx, |c| {
        let statements = pieces(entries).map(|piece| {
            let mut query = QueryBuilder::new(
                "insert into audit (revision, action, actor_id, subject_id, entry, hash) ",
            );
            query.bring(piece.iter().map(|row| {
                (
                    sql(row.revision),
                    Word(row.action),
                    row.actor,
                    row.subject,
                    row.entry.as_str(),
                    row.hash.as_bytes().as_slice(),
                )
            }));
            query
        });
        in_turn(statements, c).await
    })?;
    Ok(())
}

/// The hash of the newest entry.
pub(crate) async fn newest_hash(tx: &mut Tx) -> Result<Option<Digest>> {
    let row: Option<(Vec<u8>,)> = on!(tx, |c| sqlx::query_as(
        "select hash from audit order by revision desc limit 1"
    )
    .fetch_optional(c)
    .await)?;
    row.map(|(hash,)| Digest::try_from(hash).map_err(Error::internal))
        .transpose()
}

/// Which entries to list; an absent part does not restrict.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Filter {
    pub(crate) action: Option<AuditAction>,
    pub(crate) actor: Option<Uuid>,
    pub(crate) subject: Option<Uuid>,
}

/// Kept entries, newest first.
pub(crate) async fn list(
    filter: Filter,
    window: Window<u64>,
    tx: &mut Tx,
) -> Result<Vec<AuditRow>> {
    let forgotten = forgotten(tx).await?.map_or(0, |last| last.revision);
    let rows: Vec<Row> = on!(tx, |c| {
        sqlx::query_as(
        "select revision, action, actor_id, subject_id, entry, hash from audit
         where revision < $1 and revision > $6 and ($2 is null or action = $2) and ($3 is null or actor_id = $3)
           and ($4 is null or subject_id = $4)
         order by revision desc limit $5"
    )
    .bind(sql(window.beyond))
    .bind(filter.action.map(Word))
    .bind(filter.actor)
    .bind(filter.subject)
    .bind(window.rows())
    .bind(sql(forgotten))
    .fetch_all(c)
    .await
    })?;
    rows.into_iter().map(AuditRow::try_from).collect()
}

/// The newest entry that says which ones are forgotten.
pub(crate) async fn newest_forget(tx: &mut Tx) -> Result<Option<AuditRow>> {
    let row: Option<Row> = on!(tx, |c| sqlx::query_as(
        "select revision, action, actor_id, subject_id, entry, hash from audit
         where action = 'audit_forget' order by revision desc limit 1"
    )
    .fetch_optional(c)
    .await)?;
    row.map(AuditRow::try_from).transpose()
}

/// The last entry that is not kept any more, if there is one.
pub(crate) async fn forgotten(tx: &mut Tx) -> Result<Option<Forgotten>> {
    let row = newest_forget(tx).await?;
    row.as_ref().map(AuditRow::forgets).transpose()
}

/// The last of the kept entries that were made before a time. They are in the order of their times, as far as the clock was
/// right.
pub(crate) async fn last_before(
    time: Timestamp,
    forgotten: Option<Forgotten>,
    newest: u64,
    tx: &mut Tx,
) -> Result<Option<Forgotten>> {
    let mut last = None;
    let mut first = forgotten.map_or(1, |last| last.revision + 1);
    let mut end = newest + 1;
    while first < end {
        let middle = first + (end - first) / 2;
        let found = chain(middle - 1, 1, tx).await?.pop();
        match found.filter(|row| row.revision < end) {
            Some(row) if row.at()? < time => {
                first = row.revision + 1;
                last = Some(Forgotten {
                    revision: row.revision,
                    hash: row.hash,
                });
            }
            _ => end = middle,
        }
    }
    Ok(last)
}

/// Deletes the oldest of the entries that are forgotten, at most so many. Answers how many.
pub(crate) async fn forget(rows: i64, tx: &mut Tx) -> Result<u64> {
    let Some(last) = forgotten(tx).await? else {
        return Ok(0);
    };
    let forgotten = on!(tx, |c| {
        sqlx::query(
        "delete from audit where revision in (select revision from audit where revision <= $1 order by revision limit $2)"
    )
    .bind(sql(last.revision))
    .bind(rows)
    .execute(c)
    .await
    .map(|done| done.rows_affected())
    })?;
    Ok(forgotten)
}

/// A run of entries in the order of the chain, each with the revision of the history that it should be of:
/// none where the history has a revision that was never audited.
pub(crate) async fn chain(after: u64, rows: i64, tx: &mut Tx) -> Result<Vec<AuditRow>> {
    let rows: Vec<Row> = on!(tx, |c| sqlx::query_as(
        "select revision, action, actor_id, subject_id, entry, hash from audit
         where revision > $1 order by revision limit $2"
    )
    .bind(sql(after))
    .bind(rows)
    .fetch_all(c)
    .await)?;
    rows.into_iter().map(AuditRow::try_from).collect()
}

/// A revision of the history after one that has no entry: somebody took it away.
pub(crate) async fn missing(after: u64, tx: &mut Tx) -> Result<Option<u64>> {
    let row: Option<(i64,)> = on!(tx, |c| sqlx::query_as(
        "select l.revision from lineage l left join audit a on a.revision = l.revision
         where l.revision > $1 and a.revision is null order by l.revision limit 1"
    )
    .bind(sql(after))
    .fetch_optional(c)
    .await)?;
    Ok(row.map(|(revision,)| number(revision)))
}
