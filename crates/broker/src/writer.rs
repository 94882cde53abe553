//! The one way in which anything is written.
//!
//! A replica has one writer task. It folds queued changes into one transaction, each under a savepoint
//! and with a revision of its own, so that a refused change costs only itself, and answers after the
//! commit. The revision row is taken before a change reads anything that it decides upon: that
//! serialises the writers of all replicas, so that commit order is revision order. The task owns the
//! work: a client that hangs up cancels nothing half-way.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use anyhow::anyhow;
use brokkr_core::Digest;
use brokkr_core::ambient::Ambient;
use brokkr_core::wire::{About, Actor, ActorRole, Approval, AuditAction};
use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::audit::{self, Audited};
use crate::error::{Error, Result};
use crate::plan::Planning;
use crate::store::changes::Touched;
use crate::store::{self, Db, Tx};

/// A change of what the broker keeps. It may run twice, if the database asks for a repetition.
pub(crate) trait Mutation: Send + Sync + 'static {
    /// What the caller learns once it is durable.
    type Output: Send + 'static;

    /// Which queue it stands in.
    const LANE: Lane = Lane::Desired;
    /// Whether it is kept, or undone once it is known what it would do.
    const KEPT: bool = true;

    /// Decides and writes. It awaits nothing but its transaction; an error undoes all of it.
    fn apply(&self, change: &mut Change) -> impl Future<Output = Result<Self::Output>> + Send;
}

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
    /// What the reports of the group changed so far.
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
    desired: mpsc::Sender<Box<dyn Queued>>,
    ingest: mpsc::Sender<Box<dyn Queued>>,
}

/// A full queue is an overload: better to say so than to let memory grow.
const QUEUE: usize = 1_024;
/// How many changes share a transaction at the most, which bounds how long a later one waits.
const GROUP: usize = 32;

impl Writer {
    /// The writer, and the task that does its work until `shutdown` and the last queued change.
    pub(crate) fn new(
        db: Arc<Db>,
        ambient: Arc<dyn Ambient>,
        committed: Arc<Notify>,
        shutdown: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (desired, desired_queue) = mpsc::channel(QUEUE);
        let (ingest, ingest_queue) = mpsc::channel(QUEUE);
        let task = Task {
            db,
            ambient,
            committed,
        };
        (
            Self { desired, ingest },
            task.run(desired_queue, ingest_queue, shutdown),
        )
    }

    /// How many changes stand in a queue.
    pub(crate) fn waiting(&self, lane: Lane) -> u64 {
        let queue = self.queue(lane);
        u64::try_from(queue.max_capacity() - queue.capacity()).unwrap_or(u64::MAX)
    }

    const fn queue(&self, lane: Lane) -> &mpsc::Sender<Box<dyn Queued>> {
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
        let (answer, outcome) = oneshot::channel();
        self.queue(M::LANE)
            .try_send(Box::new(Pending {
                actor,
                mutation,
                output: None,
                answer,
            }))
            .map_err(|_| {
                Error::Unavailable(
                    "the broker is too busy or stopping; repeat the request".to_owned(),
                )
            })?;
        outcome
            .await
            .map_err(|_| Error::internal(anyhow!("the writer dropped a change")))?
    }
}

/// A change in the queue, whatever its type.
trait Queued: Send {
    fn run<'a>(&'a mut self, change: &'a mut Change) -> BoxFuture<'a, Result<()>>;
    fn is_kept(&self) -> bool;
    /// The id of the request that asks for it, if one does.
    fn request(&self) -> Option<&str>;
    fn finish(self: Box<Self>, outcome: Result<u64>);
}

struct Pending<M: Mutation> {
    actor: Actor,
    mutation: M,
    output: Option<M::Output>,
    answer: oneshot::Sender<Result<(M::Output, u64)>>,
}

impl<M: Mutation> Queued for Pending<M> {
    fn run<'a>(&'a mut self, change: &'a mut Change) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            change.actor.clone_from(&self.actor);
            self.output = Some(self.mutation.apply(change).await?);
            Ok(())
        })
    }

    fn is_kept(&self) -> bool {
        M::KEPT
    }

    fn request(&self) -> Option<&str> {
        self.actor.request_id.as_deref()
    }

    fn finish(self: Box<Self>, outcome: Result<u64>) {
        let Self { output, answer, .. } = *self;
        let missing = || Error::internal(anyhow!("a change was committed without an outcome"));
        let outcome = outcome
            .and_then(|revision| output.map(|output| (output, revision)).ok_or_else(missing));
        // Nobody is there when the client hung up; the change stands all the same.
        let _ = answer.send(outcome);
    }
}

/// What becomes of a change that was not refused.
enum Step {
    /// It stands, with the hash of its entry in the audit if it is a revision.
    Kept(Option<Digest>),
    /// It was only planned, or made no difference: it is undone, and is no revision.
    Nothing,
}

struct Task {
    db: Arc<Db>,
    ambient: Arc<dyn Ambient>,
    committed: Arc<Notify>,
}

impl Task {
    async fn run(
        self,
        mut desired: mpsc::Receiver<Box<dyn Queued>>,
        mut ingest: mpsc::Receiver<Box<dyn Queued>>,
        shutdown: CancellationToken,
    ) {
        loop {
            let (lane, first) = tokio::select! {
                biased;
                Some(first) = desired.recv() => (Lane::Desired, first),
                Some(first) = ingest.recv() => (Lane::Ingest, first),
                () = shutdown.cancelled() => return,
            };
            let queue = if lane == Lane::Desired {
                &mut desired
            } else {
                &mut ingest
            };
            let mut group = vec![first];
            while group.len() < GROUP
                && let Ok(next) = queue.try_recv()
            {
                group.push(next);
            }
            self.write(lane, group).await;
        }
    }

    /// Writes a group; one that the database wants repeated is repeated one change at a time.
    async fn write(&self, lane: Lane, mut group: Vec<Box<dyn Queued>>) {
        match self.attempt(lane, &mut group).await {
            Err(error) if wants_repetition(&error) => {
                for change in group {
                    let mut alone = vec![change];
                    let outcome = self.attempt(lane, &mut alone).await;
                    self.answer(alone, outcome);
                }
            }
            outcome => self.answer(group, outcome),
        }
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
            told: HashSet::new(),
            said: Said::Nothing,
        };
        // The newest hash of the chain, while this transaction holds the revision row.
        let mut chain = None;
        if lane == Lane::Ingest {
            change.revision = store::broker::next_ingest(&mut change.tx).await?;
        }
        let mut outcomes = Vec::with_capacity(group.len());
        for queued in group.iter_mut() {
            change.tx.savepoint().await?;
            match self.step(lane, queued.as_mut(), &mut change, chain).await {
                Err(Error::Database(error)) => return Err(Error::Database(error)),
                Ok(Step::Kept(hash)) => {
                    change.tx.release().await?;
                    chain = hash.or(chain);
                    outcomes.push(Ok(change.revision));
                }
                Ok(Step::Nothing) => {
                    change.tx.undo().await?;
                    outcomes.push(Ok(change.revision - 1));
                }
                Err(refusal) => {
                    change.tx.undo().await?;
                    outcomes.push(Err(refusal));
                }
            }
        }
        if !change.told.is_empty() {
            store::feed::record(change.revision, &change.told, &mut change.tx).await?;
        }
        if lane == Lane::Desired {
            store::changes::notify(&mut change.tx).await?;
        }
        change
            .tx
            .commit()
            .await
            .map_err(|error| unknown_outcome(&error))?;
        Ok(outcomes)
    }

    async fn step(
        &self,
        lane: Lane,
        queued: &mut dyn Queued,
        change: &mut Change,
        chain: Option<Digest>,
    ) -> Result<Step> {
        if lane == Lane::Desired {
            change.touched.clear();
            change.approval = None;
            change.is_planned = false;
            change.planning = Planning::default();
            change.said = Said::Nothing;
            change.revision = store::broker::next_revision(&mut change.tx).await?;
        }
        let run = AssertUnwindSafe(queued.run(change)).catch_unwind();
        run.await
            .unwrap_or_else(|_| Err(Error::internal(anyhow!("a change panicked"))))?;
        if lane == Lane::Ingest {
            return Ok(Step::Kept(None));
        }
        match std::mem::replace(&mut change.said, Said::Nothing) {
            _ if !queued.is_kept() => Ok(Step::Nothing),
            Said::Changed(audited) => self.record(audited, change, chain).await,
            Said::Unchanged => Ok(Step::Nothing),
            Said::Nothing => Err(Error::internal(anyhow!("a change without an audit"))),
        }
    }

    /// Writes down what a change touched, and who made it.
    async fn record(
        &self,
        audited: Audited,
        change: &mut Change,
        chain: Option<Digest>,
    ) -> Result<Step> {
        let (revision, now) = (change.revision, change.now);
        let tx = &mut change.tx;
        store::changes::record(revision, &change.touched, now, &*self.ambient, tx).await?;
        let entry = audited.entry(
            change.actor.clone(),
            revision,
            now,
            change.approval.as_ref(),
            &change.planning,
        );
        let before = match chain {
            Some(hash) => Some(hash),
            None => store::audit::newest_hash(tx).await?,
        };
        let hash = store::audit::append(&entry, before.as_ref(), tx).await?;
        Ok(Step::Kept(Some(hash)))
    }

    fn answer(&self, group: Vec<Box<dyn Queued>>, outcome: Result<Vec<Result<u64>>>) {
        match outcome {
            Ok(outcomes) => {
                self.committed.notify_one();
                for (change, outcome) in group.into_iter().zip(outcomes) {
                    change.finish(outcome);
                }
            }
            Err(error) => {
                let requests: Vec<_> = group.iter().filter_map(|change| change.request()).collect();
                let (changes, requests) = (group.len(), requests.join(" "));
                tracing::warn!(%error, cause = ?error, changes, requests, "a group of changes failed");
                let reason = error.to_string();
                for change in group {
                    change.finish(Err(Error::Unavailable(reason.clone())));
                }
            }
        }
    }
}

/// Two replicas met: `PostgreSQL`'s `deadlock_detected` and `serialization_failure`.
fn wants_repetition(error: &Error) -> bool {
    let Error::Database(sqlx::Error::Database(cause)) = error else {
        return false;
    };
    matches!(cause.code().as_deref(), Some("40P01" | "40001"))
}

fn unknown_outcome(error: &Error) -> Error {
    tracing::error!(cause = ?error, "a commit failed");
    Error::Unavailable(
        "the database broke off while it committed: the change may or may not stand; repeat the request".to_owned(),
    )
}
