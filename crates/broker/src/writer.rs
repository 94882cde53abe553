//! The one way in which anything is written.
//!
//! A replica has one writer task. It folds queued changes into one transaction and answers after the
//! commit. Each change of desired state has a savepoint and a revision of its own, so that a refused one
//! costs only itself. The revision row is taken before a change reads anything that it decides upon: that
//! serialises the writers of all replicas, so that commit order is revision order. What agents report is
//! collected, and written by a few statements for all of the group; it is seldom refused, and the group is
//! repeated in halves if it is. The task owns the work: a client that hangs up cancels nothing half-way.

mod queue;
mod task;

use std::collections::HashSet;
use std::sync::Arc;

use brokkr_core::ambient::Ambient;
use brokkr_core::wire::{About, Actor, Approval, AuditAction};
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::audit::Audited;
use crate::changes::reports::Reports;
use crate::error::Result;
use crate::memory::{Memory, Room};
use crate::plan::Planning;
use crate::store::changes::Touched;
use crate::store::{Db, Tx};
use queue::Queue;
use task::Task;

/// A change of what the broker keeps. It may run twice, if the database asks for a repetition.
pub(crate) trait Mutation: Send + Sync + 'static {
    /// What the caller learns once it is durable.
    type Output: Send + 'static;

    /// Which queue it stands in.
    const LANE: Lane = Lane::Desired;
    /// Whether it is kept, or undone once it is known what it would do.
    const KEPT: bool = true;

    /// About how many bytes it keeps in memory while it waits: what it brings, and its request.
    fn weight(&self) -> usize {
        SMALL
    }

    /// Decides and writes. It awaits nothing but its transaction; an error undoes all of it.
    fn apply(&self, change: &mut Change) -> impl Future<Output = Result<Self::Output>> + Send;
}

/// What a change of desired state keeps in memory at the least, in bytes. It takes longer to write than a report of this
/// size, and queues are to be short in time too.
pub(crate) const SMALL: usize = 4 * 1024;

/// Desired state goes before what agents report; the two never share a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lane {
    /// What should run where, and who may say so. Each change is a revision.
    Desired,
    /// What agents report. A group of reports shares one number of the feed.
    Ingest,
}

/// A change under way.
pub(crate) struct Change {
    /// The transaction; everything is read and written in it.
    pub(crate) tx: Tx,
    /// This change's revision, or in the ingest lane the group's number in the feed.
    pub(crate) revision: u64,
    /// When it happens.
    pub(crate) now: Timestamp,
    /// Where new ids and keys come from.
    pub(crate) ambient: Arc<dyn Ambient>,
    /// Who makes it.
    pub(crate) actor: Actor,
    /// Who agreed to what it takes away, if somebody did.
    pub(crate) approval: Option<Approval>,
    /// Whether it is made only to see what it would do.
    pub(crate) is_planned: bool,
    /// What it does to agent targets and to objects.
    pub(crate) planning: Planning,
    touched: Vec<Touched>,
    /// What the group reports so far: written once all of it is known.
    pub(crate) reports: Reports,
    /// What the reports of the group changed.
    told: HashSet<About>,
    said: Said,
}

/// What a change has said of itself for the audit.
enum Said {
    Nothing,
    Unchanged,
    Changed(Audited),
}

impl Change {
    /// Tells the followers of all replicas to read this row again.
    pub(crate) fn touch(&mut self, touched: Touched) {
        self.touched.push(touched);
    }

    /// Tells those who watch what a report changed.
    pub(crate) fn tell(&mut self, about: About) {
        self.told.insert(about);
    }

    /// Says what the change does, for the audit. One that makes no difference is not kept.
    pub(crate) fn audit(
        &mut self,
        action: AuditAction,
        subject: (Uuid, Option<String>),
        before: Option<&impl Serialize>,
        after: Option<&impl Serialize>,
    ) -> Result<()> {
        let audited = Audited::new(action, subject, before, after)?;
        self.said = if audited.is_nothing() {
            Said::Unchanged
        } else {
            Said::Changed(audited)
        };
        Ok(())
    }

    /// Says that all is as it was: the change is not kept.
    pub(crate) fn unchanged(&mut self) {
        self.said = Said::Unchanged;
    }
}

/// Hands changes to the writer task.
pub(crate) struct Writer {
    desired: Queue,
    ingest: Queue,
}

impl Writer {
    /// The writer, and the task that does its work until `shutdown` and the last queued change, or until the disk fails.
    pub(crate) fn new(
        db: Arc<Db>,
        ambient: Arc<dyn Ambient>,
        committed: Arc<Notify>,
        shutdown: CancellationToken,
        memory: Memory,
    ) -> (Self, impl Future<Output = Result<()>> + Send) {
        let (desired, desired_changes) = Queue::new(memory.lane());
        let (ingest, ingest_changes) = Queue::new(memory.lane());
        let task = Task {
            db,
            ambient,
            committed,
        };
        (
            Self { desired, ingest },
            task.run(desired_changes, ingest_changes, shutdown),
        )
    }

    /// What changes that wait to be written take up.
    pub(crate) const fn room(&self, lane: Lane) -> &Room {
        self.queue(lane).room()
    }

    const fn queue(&self, lane: Lane) -> &Queue {
        match lane {
            Lane::Desired => &self.desired,
            Lane::Ingest => &self.ingest,
        }
    }

    /// Makes a change and waits until it is durable.
    pub(crate) async fn change<M: Mutation>(
        &self,
        actor: Actor,
        mutation: M,
    ) -> Result<(M::Output, u64)> {
        self.queue(M::LANE).change(actor, mutation).await
    }
}
