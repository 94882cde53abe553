//! The task that writes.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use anyhow::anyhow;
use brokkr_core::ambient::Ambient;
use brokkr_core::wire::{ActorRole, AuditEntry};
use futures::FutureExt;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use uuid::Builder;

use super::queue::Queued;
use super::{Change, Lane, Said};
use crate::audit;
use crate::changes::reports::Reports;
use crate::error::{Error, Result};
use crate::plan::Planning;
use crate::store::audit::AuditRow;
use crate::store::changes::Revision;
use crate::store::{self, Db};

/// How many bytes of changes share a transaction, about, which bounds how long a later one waits.
const GROUP: usize = 1024 * 1024;
/// How often changes of a group are repeated alone because the database asks for it.
const REPETITIONS: usize = 3;

pub(super) struct Task {
    pub(super) db: Arc<Db>,
    pub(super) ambient: Arc<dyn Ambient>,
    pub(super) committed: Arc<Notify>,
}

type Changes = mpsc::UnboundedReceiver<Box<dyn Queued>>;

impl Task {
    /// Writes until `shutdown`. It fails as soon as the disk does not keep what was committed: the pages that it was to keep may
    /// be lost, and a second attempt would find nothing left to do, and succeed.
    pub(super) async fn run(
        self,
        mut desired: Changes,
        mut ingest: Changes,
        shutdown: CancellationToken,
    ) -> Result<()> {
        loop {
            let (lane, first) = tokio::select! {
                biased;
                Some(first) = desired.recv() => (Lane::Desired, first),
                Some(first) = ingest.recv() => (Lane::Ingest, first),
                () = shutdown.cancelled() => return Ok(()),
            };
            if lane == Lane::Ingest {
                self.write(lane, group(first, &mut ingest)).await?;
                continue;
            }
            self.write(lane, group(first, &mut desired)).await?;
            // However much is desired, what agents report is written too.
            if let Ok(first) = ingest.try_recv() {
                self.write(Lane::Ingest, group(first, &mut ingest)).await?;
            }
        }
    }

    /// Writes a group. One that fails for something that may be the fault of one change is repeated in halves.
    async fn write(&self, lane: Lane, group: Vec<Box<dyn Queued>>) -> Result<()> {
        let mut parts = vec![group];
        let mut patience = REPETITIONS;
        while let Some(mut part) = parts.pop() {
            match self.attempt(lane, &mut part).await {
                Err(error)
                    if part.len() > 1 && (is_refusal(&error) || wants_repetition(&error)) =>
                {
                    parts.push(part.split_off(part.len() / 2));
                    parts.push(part);
                }
                Err(refusal) if is_refusal(&refusal) => self.answer(part, vec![Err(refusal)]),
                Err(error) if patience > 0 && wants_repetition(&error) => {
                    patience -= 1;
                    parts.push(part);
                }
                Err(error) => {
                    fail(part, &error);
                    if matches!(error, Error::NotKept(_)) {
                        return Err(error);
                    }
                }
                Ok(outcomes) => self.answer(part, outcomes),
            }
        }
        Ok(())
    }

    /// One transaction over the group: each change's own outcome, or the error that failed them all.
    async fn attempt(&self, lane: Lane, group: &mut [Box<dyn Queued>]) -> Result<Vec<Result<u64>>> {
        let mut change = Change {
            tx: self.db.write().await?,
            revision: 0,
            now: self.ambient.now(),
            ambient: Arc::clone(&self.ambient),
            actor: audit::local(ActorRole::Broker),
            approval: None,
            is_planned: false,
            planning: Planning::default(),
            touched: Vec::new(),
            reports: Reports::default(),
            told: HashSet::new(),
            said: Said::Nothing,
        };
        let outcomes = match lane {
            Lane::Desired => self.decide_all(group, &mut change).await?,
            Lane::Ingest => self.report_all(group, &mut change).await?,
        };
        let committed = change.tx.commit().await;
        committed
            .inspect_err(|cause| tracing::error!(?cause, "a commit failed"))
            .map_err(Error::of_commit)?;
        Ok(outcomes)
    }

    /// What agents report, and the broker's own upkeep: no revision, and one number of the feed for all of it.
    async fn report_all(
        &self,
        group: &mut [Box<dyn Queued>],
        change: &mut Change,
    ) -> Result<Vec<Result<u64>>> {
        change.revision = store::broker::next_ingest(&mut change.tx).await?;
        for queued in group.iter_mut() {
            run(queued.as_mut(), change).await?;
        }
        Reports::write(change).await?;
        if !change.told.is_empty() {
            store::feed::record(change.revision, &change.told, &mut change.tx).await?;
        }
        Ok(group.iter().map(|_| Ok(change.revision)).collect())
    }

    /// Changes of desired state: each is a revision, unless it is refused or makes no difference, and sees what those
    /// before it have done.
    async fn decide_all(
        &self,
        group: &mut [Box<dyn Queued>],
        change: &mut Change,
    ) -> Result<Vec<Result<u64>>> {
        // While this transaction holds the row, nobody else adds to the history.
        let mut latest = store::broker::take_revision(&mut change.tx).await?;
        let mut chain = store::audit::newest_hash(&mut change.tx).await?;
        let (mut revisions, mut entries) = (Vec::new(), Vec::new());
        let mut outcomes = Vec::with_capacity(group.len());
        change.tx.savepoint().await?;
        for queued in group.iter_mut() {
            match self.decide(queued.as_mut(), latest + 1, change).await {
                Err(Error::Database(error)) => return Err(Error::Database(error)),
                Ok(Some(entry)) => {
                    change.tx.next_savepoint().await?;
                    latest = change.revision;
                    let entry = AuditRow::after(chain.as_ref(), &entry)?;
                    chain = Some(entry.hash);
                    entries.push(entry);
                    revisions.push(self.revision(change));
                    outcomes.push(Ok(latest));
                }
                Ok(None) => {
                    change.tx.undo().await?;
                    outcomes.push(Ok(latest));
                }
                Err(refusal) => {
                    change.tx.undo().await?;
                    outcomes.push(Err(refusal));
                }
            }
        }
        if !revisions.is_empty() {
            let (now, tx) = (change.now, &mut change.tx);
            store::broker::set_revision(latest, tx).await?;
            store::changes::record(&revisions, now, tx).await?;
            store::audit::append(&entries, tx).await?;
            store::changes::notify(tx).await?;
        }
        Ok(outcomes)
    }

    /// Makes a change, and answers its entry in the audit; none if it was only planned, or made no difference.
    async fn decide(
        &self,
        queued: &mut dyn Queued,
        revision: u64,
        change: &mut Change,
    ) -> Result<Option<AuditEntry>> {
        change.revision = revision;
        change.touched.clear();
        change.approval = None;
        change.is_planned = false;
        change.planning = Planning::default();
        change.said = Said::Nothing;
        run(queued, change).await?;
        match std::mem::replace(&mut change.said, Said::Nothing) {
            _ if !queued.is_kept() => Ok(None),
            Said::Changed(audited) => Ok(Some(audited.entry(
                change.actor.clone(),
                revision,
                change.now,
                change.approval.as_ref(),
                &change.planning,
            ))),
            Said::Unchanged => Ok(None),
            Said::Nothing => Err(Error::internal(anyhow!("a change without an audit"))),
        }
    }

    /// The revision that a change has come to be.
    fn revision(&self, change: &mut Change) -> Revision {
        let mut id = [0; 16];
        self.ambient.fill(&mut id);
        Revision {
            number: change.revision,
            id: Builder::from_random_bytes(id).into_uuid(),
            touched: std::mem::take(&mut change.touched),
        }
    }

    fn answer(&self, group: Vec<Box<dyn Queued>>, outcomes: Vec<Result<u64>>) {
        self.committed.notify_one();
        for (change, outcome) in group.into_iter().zip(outcomes) {
            change.finish(outcome);
        }
    }
}

fn fail(group: Vec<Box<dyn Queued>>, error: &Error) {
    let requests: Vec<_> = group.iter().filter_map(|change| change.request()).collect();
    let (changes, requests) = (group.len(), requests.join(" "));
    tracing::warn!(%error, cause = ?error, changes, requests, "a group of changes failed");
    let reason = error.to_string();
    for change in group {
        change.finish(Err(Error::Unavailable(reason.clone())));
    }
}

/// The changes that are written with a first one: those that wait by now, as far as they fit.
fn group(first: Box<dyn Queued>, queue: &mut Changes) -> Vec<Box<dyn Queued>> {
    let mut weight = first.weight();
    let mut group = vec![first];
    while weight < GROUP
        && let Ok(next) = queue.try_recv()
    {
        weight += next.weight();
        group.push(next);
    }
    group
}

/// Whether it is what one change asks for that the broker does not do, and not the fate of all that came with it.
const fn is_refusal(error: &Error) -> bool {
    !matches!(
        error,
        Error::Database(_) | Error::NotKept(_) | Error::Unavailable(_)
    )
}

/// Runs a change; one that panics is refused.
async fn run(queued: &mut dyn Queued, change: &mut Change) -> Result<()> {
    let run = AssertUnwindSafe(queued.run(change)).catch_unwind();
    run.await
        .unwrap_or_else(|_| Err(Error::internal(anyhow!("a change panicked"))))
}

/// Two replicas met: `PostgreSQL`'s `deadlock_detected` and `serialization_failure`.
fn wants_repetition(error: &Error) -> bool {
    let Error::Database(sqlx::Error::Database(cause)) = error else {
        return false;
    };
    matches!(cause.code().as_deref(), Some("40P01" | "40001"))
}
