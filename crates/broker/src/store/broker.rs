use brokkr_core::Epoch;
use brokkr_core::ambient::Ambient;
use uuid::Uuid;

use super::{Db, Tx, number, on, sql};
use crate::error::Result;

/// Whose history this database is.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) epoch: Epoch,
    /// The key of the state tokens' MAC.
    pub(crate) token_key: Vec<u8>,
}

/// Gives an empty database its identity. Of two replicas that try at once, one succeeds.
/// It comes before the writer, which nothing else that writes does.
pub(crate) async fn identify(db: &Db, ambient: &dyn Ambient) -> Result<()> {
    let mut token_key = vec![0; 32];
    ambient.fill(&mut token_key);
    let mut tx = db.write().await?;
    on!(&mut tx, |c| sqlx::query(
        "insert into broker (id, epoch, token_key, revision, ingest) values (1, $1, $2, 0, 0)
         on conflict (id) do nothing"
    )
    .bind(Epoch::generate(ambient).uuid())
    .bind(token_key)
    .execute(c)
    .await
    .map(drop))?;
    tx.commit().await
}

/// Whose history this is at present.
pub(crate) async fn identity(tx: &mut Tx) -> Result<Identity> {
    let (epoch, token_key): (Uuid, Vec<u8>) = on!(tx, |c| sqlx::query_as(
        "select epoch, token_key from broker"
    )
    .fetch_one(c)
    .await)?;
    Ok(Identity {
        epoch: epoch.into(),
        token_key,
    })
}

/// From now on it is another history.
pub(crate) async fn set_epoch(epoch: Epoch, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "update broker set epoch = $1 where id = 1"
    )
    .bind(epoch.uuid())
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// The latest revision, and with it the row that serialises all writers.
pub(crate) async fn take_revision(tx: &mut Tx) -> Result<u64> {
    let (revision,): (i64,) = on!(tx, |c| sqlx::query_as(
        "update broker set revision = revision where id = 1 returning revision"
    )
    .fetch_one(c)
    .await)?;
    Ok(number(revision))
}

/// Says which revision is the latest from now on.
pub(crate) async fn set_revision(revision: u64, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "update broker set revision = $1 where id = 1"
    )
    .bind(sql(revision))
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// Takes the next number of the feed of reports.
pub(crate) async fn next_ingest(tx: &mut Tx) -> Result<u64> {
    let (ingest,): (i64,) = on!(tx, |c| sqlx::query_as(
        "update broker set ingest = ingest + 1 where id = 1 returning ingest"
    )
    .fetch_one(c)
    .await)?;
    Ok(number(ingest))
}

/// How far the history is: its latest revision, and the latest number of the feed of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) revision: u64,
    pub(crate) ingest: u64,
}

/// How far it is at this moment.
pub(crate) async fn progress(tx: &mut Tx) -> Result<Progress> {
    let (revision, ingest): (i64, i64) = on!(tx, |c| sqlx::query_as(
        "select revision, ingest from broker where id = 1"
    )
    .fetch_one(c)
    .await)?;
    Ok(Progress {
        revision: number(revision),
        ingest: number(ingest),
    })
}

/// The revision of this moment.
pub(crate) async fn revision(tx: &mut Tx) -> Result<u64> {
    let (revision,): (i64,) = on!(tx, |c| sqlx::query_as(
        "select revision from broker where id = 1"
    )
    .fetch_one(c)
    .await)?;
    Ok(number(revision))
}
