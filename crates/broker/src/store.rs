//! The truth: one SQL text for SQLite and PostgreSQL, one file per table.
//!
//! Every function takes the transaction it works in, so that reading back happens in the same one.
//! Only [`crate::writer`] begins transactions that write, and before it the one that names the database.

pub(crate) mod agent_events;
pub(crate) mod agent_targets;
pub(crate) mod agents;
pub(crate) mod anchors;
pub(crate) mod audit;
pub(crate) mod broker;
pub(crate) mod changes;
pub(crate) mod contents;
pub(crate) mod copy;
mod db;
mod decided;
pub(crate) mod deployment_objects;
pub(crate) mod epochs;
pub(crate) mod feed;
pub(crate) mod generators;
pub(crate) mod held_facts;
pub(crate) mod idempotency;
pub(crate) mod keys;
pub(crate) mod losses;
pub(crate) mod requests;
mod rows;
mod schema;
pub(crate) mod sessions;
pub(crate) mod settings;
pub(crate) mod sign_ins;
pub(crate) mod stack_entries;
pub(crate) mod stacks;
pub(crate) mod target_status;
pub(crate) mod windows;
mod word;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;

use crate::error::Result;
pub(crate) use db::{Db, Tx, in_time, lock, sqlite_file};
pub(crate) use word::Word;

/// Runs a statement on whichever engine the transaction is of; the text and the types are the same. A server far away must
/// answer in time.
macro_rules! on {
    ($tx:expr, |$connection:ident| $statement:expr) => {
        match $tx {
            $crate::store::Tx::Sqlite(tx) => {
                let $connection = &mut **tx;
                $statement
            }
            $crate::store::Tx::Postgres(tx, patience) => {
                let $connection = &mut **tx;
                $crate::store::in_time(*patience, async { $statement }).await
            }
        }
    };
}
pub(crate) use on;

/// Runs a statement that forgets what was before a time ($1), and no more than so many rows ($2). Answers how many.
async fn forget_before(
    before: Timestamp,
    rows: i64,
    statement: &'static str,
    tx: &mut Tx,
) -> Result<u64> {
    let forgotten = on!(tx, |c| sqlx::query(statement)
        .bind(before.to_sqlx())
        .bind(rows)
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    Ok(forgotten)
}

/// A number as SQL keeps it. Counters here never come near the limit.
pub(crate) fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number as it was kept by [`sql`].
pub(crate) fn number(sql: i64) -> u64 {
    u64::try_from(sql).unwrap_or(0)
}
