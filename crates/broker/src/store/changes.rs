use brokkr_core::wire::About;
use brokkr_core::{AgentId, GeneratorId, KeyId, SignInId, StackId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use serde::{Deserialize, Serialize};
use sqlx::QueryBuilder;
use sqlx::types::Json;
use uuid::Uuid;

use super::rows::{BringRows as _, in_turn, pieces};
use super::{Tx, forget_before, number, on, sql};
use crate::error::Result;

/// A row that the followers must read again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Touched {
    /// The agent itself, not its targets.
    Agent(AgentId),
    Generator(GeneratorId),
    /// Which histories this one continues.
    History,
    Key(KeyId),
    /// Whether all agents are paused.
    Pause,
    /// What this agent is asked beside its work.
    Requests(AgentId),
    SignIn(SignInId),
    /// The stack itself, not its targets.
    Stack(StackId),
    /// Which windows there are.
    Windows,
    /// What links this agent to this stack.
    Target(AgentId, StackId),
}

impl Touched {
    /// What those who watch are told of it.
    pub(crate) const fn about(self) -> Option<About> {
        Some(match self {
            Self::Agent(id) => About::Agent { id },
            Self::Generator(id) => About::Generator { id },
            // Of one all is read anew; the other is nobody else's affair.
            Self::History | Self::SignIn(_) => return None,
            Self::Key(id) => About::Key { id },
            Self::Pause => About::Fleet,
            Self::Requests(agent) => About::Requests { agent },
            Self::Stack(id) => About::Stack { id },
            Self::Windows => About::Windows,
            Self::Target(agent, stack) => About::Target { agent, stack },
        })
    }
}

/// The channel on which a `PostgreSQL` replica hears that another one has committed.
pub(crate) const CHANNEL: &str = "brokkr_changes";

/// A revision that came to be.
pub(crate) struct Revision {
    pub(crate) number: u64,
    /// Random: two histories that have come as far are told apart by it.
    pub(crate) id: Uuid,
    pub(crate) touched: Vec<Touched>,
}

/// Writes down what revisions touched, and their ids.
pub(crate) async fn record(revisions: &[Revision], now: Timestamp, tx: &mut Tx) -> Result<()> {
    let _: Vec<()> = on!(tx, |c| {
        let lineage = pieces(revisions).map(|piece| {
            let mut query = QueryBuilder::new("insert into lineage (revision, id) ");
            query.bring(piece.iter().map(|new| (sql(new.number), new.id)));
            query
        });
        let changes = pieces(revisions).map(|piece| {
            let mut query =
                QueryBuilder::new("insert into changes (revision, touched, created_at) ");
            query.bring(
                piece
                    .iter()
                    .map(|new| (sql(new.number), Json(&new.touched), now.to_sqlx())),
            );
            query
        });
        in_turn(lineage.chain(changes), c).await
    })?;
    Ok(())
}

/// Wakes the followers of other replicas when the transaction commits. It is a hint: they look once a
/// second anyway.
pub(crate) async fn notify(tx: &mut Tx) -> Result<()> {
    match tx {
        Tx::Sqlite(_) => Ok(()),
        Tx::Postgres(..) => tx.execute("notify brokkr_changes").await,
    }
}

/// What the revisions after `revision` touched, in their order; nothing where this version cannot
/// read what another one wrote.
pub(crate) async fn since(revision: u64, tx: &mut Tx) -> Result<Vec<(u64, Option<Vec<Touched>>)>> {
    let rows: Vec<(i64, Json<serde_json::Value>)> = on!(tx, |c| sqlx::query_as(
        "select revision, touched from changes where revision > $1 order by revision"
    )
    .bind(sql(revision))
    .fetch_all(c)
    .await)?;
    Ok(rows
        .into_iter()
        .map(|(revision, Json(touched))| (number(revision), serde_json::from_value(touched).ok()))
        .collect())
}

/// Forgets what the oldest revisions touched, if that was written before a time: at most so many of them.
/// Answers how many. A follower that needs one reads everything anew.
pub(crate) async fn forget(before: Timestamp, revisions: i64, tx: &mut Tx) -> Result<u64> {
    let statement = "delete from changes where created_at < $1
       and revision in (select revision from changes order by revision limit $2)";
    forget_before(before, revisions, statement, tx).await
}

/// The random ids of revisions in a row.
pub(crate) async fn lineages(first: u64, last: u64, tx: &mut Tx) -> Result<Vec<Uuid>> {
    let rows: Vec<(Uuid,)> = on!(tx, |c| sqlx::query_as(
        "select id from lineage where revision between $1 and $2 order by revision"
    )
    .bind(sql(first))
    .bind(sql(last))
    .fetch_all(c)
    .await)?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// The random id of a revision; nil for the beginning, which has none.
pub(crate) async fn lineage(revision: u64, tx: &mut Tx) -> Result<Uuid> {
    let row: Option<(Uuid,)> = on!(tx, |c| sqlx::query_as(
        "select id from lineage where revision = $1"
    )
    .bind(sql(revision))
    .fetch_optional(c)
    .await)?;
    Ok(row.map_or(Uuid::nil(), |(id,)| id))
}
