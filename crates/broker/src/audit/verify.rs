use std::path::Path;

use anyhow::{Context, bail};
use brokkr_core::Digest;
use brokkr_core::wire::AuditEntry;

use super::chained;
use crate::StartError;
use crate::store::audit::{self, AuditRow, Forgotten};
use crate::store::{Db, Tx};

/// An audit in which no entry was edited, put in, or taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many entries are kept.
    pub entries: u64,
    /// The revision up to which entries were forgotten, as a kept one says.
    pub forgotten: Option<u64>,
    /// The revision and hash of the newest: whoever keeps them elsewhere can tell later that nothing before was
    /// made anew.
    pub newest: Option<(u64, Digest)>,
}

/// How many entries are read at once.
const RUN: i64 = 1_000;

/// Checks the audit of a database, also beside a running broker.
pub async fn verify(database: &str) -> Result<Verified, StartError> {
    verify_all(&Db::open_to_read(database).await?).await
}

/// Checks the audit of a file that nobody writes.
pub(crate) async fn verify_copy(file: &Path) -> Result<Verified, StartError> {
    let db = Db::open_copy(file).await?;
    let verified = verify_all(&db).await;
    db.close().await;
    verified
}

async fn verify_all(db: &Db) -> Result<Verified, StartError> {
    let mut tx = db.snapshot().await.map_err(anyhow::Error::from)?;
    let forgotten = forgotten(&mut tx).await?;
    let mut verified = Verified {
        entries: 0,
        forgotten: forgotten.map(|last| last.revision),
        newest: None,
    };
    let mut last = forgotten;
    loop {
        let after = last.map_or(0, |last| last.revision);
        let rows = audit::chain(after, RUN, &mut tx)
            .await
            .context("the audit cannot be read")?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            check(&row, last.as_ref().map(|last| &last.hash))?;
            let (revision, hash) = (row.revision, row.hash);
            last = Some(Forgotten { revision, hash });
            verified.newest = Some((revision, hash));
            verified.entries += 1;
        }
    }
    let missing = audit::missing(verified.forgotten.unwrap_or(0), &mut tx)
        .await
        .context("the audit cannot be read")?;
    if let Some(revision) = missing {
        return Err(broken(revision, "it has no entry").into());
    }
    Ok(verified)
}

/// Where what is kept begins. That the entry which says so was not edited is seen when its turn comes.
async fn forgotten(tx: &mut Tx) -> anyhow::Result<Option<Forgotten>> {
    let says = audit::newest_forget(tx)
        .await
        .context("the audit cannot be read")?;
    says.map(|row| {
        let forgotten = row.forgets();
        let forgotten = forgotten.ok().filter(|last| last.revision < row.revision);
        forgotten.ok_or_else(|| broken(row.revision, "its entry cannot be read"))
    })
    .transpose()
}

fn check(row: &AuditRow, before: Option<&Digest>) -> anyhow::Result<()> {
    if chained(before, &row.entry) != row.hash {
        let why = "its hash does not follow from its entry and the one before: one of the two was edited, or an entry between them taken out";
        bail!(broken(row.revision, why));
    }
    let entry: AuditEntry = serde_json::from_str(&row.entry)
        .map_err(|_| broken(row.revision, "its entry cannot be read"))?;
    let found_by = (row.revision, row.action, row.actor, row.subject);
    if found_by
        != (
            entry.revision,
            entry.action,
            entry.actor.id,
            entry.subject.id,
        )
    {
        bail!(broken(
            row.revision,
            "what it is found by is not what its entry says"
        ));
    }
    Ok(())
}

fn broken(revision: u64, why: &str) -> anyhow::Error {
    anyhow::anyhow!("the audit is broken at revision {revision}: {why}")
}
