//! How long is waited for a database: a server far away, and the line to it, may be silent for ever and close nothing.

use std::io::ErrorKind;
use std::time::Duration;

use futures::FutureExt;
use sqlx::pool::PoolOptions;
use sqlx::{Connection, PgConnection, PgPool, Postgres};

use super::Tx;
use crate::error::Result;

/// How long `PostgreSQL` may take to answer a statement. A line that loses everything and breaks off nothing would be waited for
/// without an end.
const ANSWER: Duration = Duration::from_secs(10);
/// The same for a statement that reads a whole table.
pub(super) const LONG_ANSWER: Duration = Duration::from_mins(1);
/// How long it may take to get a connection that answers.
const CONNECTION: Duration = Duration::from_secs(5);
/// How long one that is there may take to answer at all.
const PING: Duration = Duration::from_secs(2);
/// A transaction that writes holds up the writers of all replicas. One whose broker stands still, or cannot be reached, is
/// ended by the server: soon enough that the others, who wait for an answer, get it.
pub(super) const BEGIN_WRITE: &str = "begin; set local idle_in_transaction_session_timeout = '5s'";

/// Begins a transaction on `PostgreSQL`.
pub(super) async fn begin(pool: &PgPool, statement: &'static str) -> Result<Tx> {
    let begun = Box::pin(pool.begin_with(statement));
    let tx = in_time(CONNECTION + ANSWER, begun).await?;
    Ok(Tx::Postgres(tx, ANSWER))
}

/// What an engine answers, or that it did not. No async function: that would hold its argument twice while it waits.
pub(crate) fn in_time<T>(
    patience: Duration,
    answer: impl Future<Output = sqlx::Result<T>>,
) -> impl Future<Output = sqlx::Result<T>> {
    let in_time = tokio::time::timeout(patience, answer);
    in_time
        .map(|answer| answer.unwrap_or_else(|_| Err(sqlx::Error::Io(ErrorKind::TimedOut.into()))))
}

/// A pool whose callers would rather hear "busy" than queue for long.
pub(super) fn bounded<DB: sqlx::Database>(connections: u32) -> PoolOptions<DB> {
    PoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(CONNECTION)
}

/// The same for a server far away: a connection that does not answer is looked for when it is taken, so that another one is
/// made, and when it is given back, or it would keep its place for ever.
pub(super) fn checked(connections: u32) -> PoolOptions<Postgres> {
    bounded(connections)
        .test_before_acquire(false)
        .before_acquire(|connection, _| Box::pin(answers(connection)))
        .after_release(|connection, _| Box::pin(answers(connection)))
}

async fn answers(connection: &mut PgConnection) -> sqlx::Result<bool> {
    in_time(PING, connection.ping()).await?;
    Ok(true)
}
