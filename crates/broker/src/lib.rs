//! Brokkr's control plane: the source of truth, asked by agents, told by people and pipelines.
//!
//! A change flows: [`routes`] → [`writer`] (one transaction, [`changes`] decide, [`store`] writes) → commit →
//! [`follower`] moves the [`fleet`] index → polls that wait wake up. Polls read the index and nothing else.

mod admin_key;
mod audit;
mod auth;
mod backup;
mod changes;
mod console;
mod contents;
mod error;
mod extract;
mod fleet;
mod follower;
mod heartbeats;
mod history;
mod idempotency;
mod key_watch;
mod limits;
mod listener;
mod memory;
mod metrics;
mod page;
mod plan;
mod requests;
mod retention;
mod rights;
mod rotation;
mod routes;
mod scope;
mod session;
mod snapshot;
mod store;
mod targeting;
mod watch;
mod writer;

pub use limits::LimitSettings;
pub use listener::{ListenerSettings, TlsFiles};
pub use memory::Memory;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use brokkr_core::Name;
use brokkr_core::ambient::Ambient;
use brokkr_core::pak::Pak;
use brokkr_core::wire::{Actor, Agent, TargetStatus};
use futures::FutureExt;
use jiff::SignedDuration;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use crate::audit::{Verified, verify};
pub use crate::backup::{Backup, Overwrite, Replace, Replaced, Restored, back_up, restore};
use crate::contents::Contents;
use crate::error::Result;
use crate::fleet::{Fleet, Index};
use crate::follower::Follower;
use crate::limits::Limits;
use crate::listener::{Listener, Tls};
use crate::memory::Rooms;
use crate::metrics::Metrics;
use crate::store::Db;
use crate::store::agents::{AgentRow, Heartbeat};
use crate::store::broker::Progress;
pub use crate::store::copy::Standing;
use crate::watch::Feed;
use crate::writer::{Mutation, Writer};

/// How a broker is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `sqlite:FILE` or `postgres://…`.
    pub database: String,
    /// Where the first start with an empty database puts the first admin key, or finds it.
    pub admin_key_file: PathBuf,
    /// How it meets those who connect.
    pub listener: ListenerSettings,
    /// What it bears.
    pub limits: LimitSettings,
}

/// Why a broker cannot start or go on: what, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What it was set up with must not be used; another start would end the same.
    #[error(transparent)]
    Configuration(anyhow::Error),
    /// Anything else.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

/// A broker.
pub struct Broker {
    db: Arc<Db>,
    writer: Writer,
    fleet: Arc<Fleet>,
    contents: Contents,
    feed: Arc<Feed>,
    ambient: Arc<dyn Ambient>,
    /// Cancelled when no new work is to begin.
    stopping: CancellationToken,
    /// Cancelled when the last request is done.
    stopped: CancellationToken,
    /// The settings were changed here.
    settings_changed: Notify,
    tasks: Mutex<JoinSet<Result<()>>>,
    rooms: Rooms,
    tls: Option<Arc<Tls>>,
    limits: Limits,
    connections: usize,
    metrics: Metrics,
}

/// How long a write waits for its own replica's index. It is durable by then in any case.
const OWN_INDEX: Duration = Duration::from_secs(2);
/// An agent that polled less long ago than this is never called silent.
const SILENT_AFTER: SignedDuration = SignedDuration::from_secs(150);

/// The OpenAPI document of the API, as the broker serves it.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes::openapi()
}

/// Makes another admin key in the database of a broker, which may be running: it knows the key within a second.
pub async fn make_admin_key(
    database: &str,
    name: Name,
    ambient: Arc<dyn Ambient>,
) -> std::result::Result<Pak, StartError> {
    Ok(admin_key::another(database, name, ambient).await?)
}

/// Who may do what, as a page of the documentation.
pub fn permissions() -> String {
    rights::page()
}

impl Broker {
    /// Opens the database, brings it up to date, loads the fleet index, and makes sure that there is an
    /// admin key.
    pub async fn open(
        settings: &Settings,
        ambient: Arc<dyn Ambient>,
    ) -> std::result::Result<Arc<Self>, StartError> {
        let tls = match &settings.listener.tls {
            Some(files) => Some(Arc::new(Tls::load(files.clone()).await?)),
            None => None,
        };
        let memory = settings.limits.memory;
        let db = Arc::new(Db::open(&settings.database, memory.pages()).await?);
        store::broker::identify(&db, &*ambient)
            .await
            .context("the database cannot be written")?;
        let (index, upto) = load(&db)
            .await
            .context("the fleet cannot be read from the database")?;
        let fleet = Arc::new(Fleet::new(index));
        let feed = Arc::new(Feed::new(upto));
        let committed = Arc::new(Notify::new());
        let stopped = CancellationToken::new();
        let (writer, writing) = Writer::new(
            Arc::clone(&db),
            Arc::clone(&ambient),
            Arc::clone(&committed),
            stopped.clone(),
            memory,
        );
        let follower = Follower {
            db: Arc::clone(&db),
            fleet: Arc::clone(&fleet),
            feed: Arc::clone(&feed),
            committed: Arc::clone(&committed),
        };
        let rooms = Rooms::new(memory);
        let stopping = CancellationToken::new();
        let listening = follower::listen(Arc::clone(&db), committed, stopped.clone());
        let mut tasks = JoinSet::new();
        let following = follower.run(stopped.clone());
        tasks.spawn(or_stop(writing, stopping.clone()));
        tasks.spawn(or_stop(following.map(Ok), stopping.clone()));
        tasks.spawn(or_stop(listening.map(Ok), stopping.clone()));
        let broker = Arc::new(Self {
            contents: Contents::new(Arc::clone(&db), memory)?,
            db,
            writer,
            fleet,
            feed,
            ambient,
            stopping,
            stopped,
            settings_changed: Notify::new(),
            tasks: Mutex::new(tasks),
            rooms,
            tls,
            limits: Limits::new(&settings.limits),
            connections: settings.limits.connections,
            metrics: Metrics::new(),
        });
        admin_key::ensure(&broker, &settings.admin_key_file).await?;
        Ok(broker)
    }

    /// Serves requests until `shutdown`, then lets those under way finish.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> std::result::Result<(), StartError> {
        let heartbeats = tokio::spawn(heartbeats::keep(Arc::clone(&self)));
        let keys = tokio::spawn(key_watch::keep(Arc::clone(&self)));
        let requests = tokio::spawn(requests::keep(Arc::clone(&self)));
        let retention = tokio::spawn(retention::keep(Arc::clone(&self)));
        let router = routes::router(Arc::clone(&self));
        let stopping = self.stopping.clone();
        tokio::spawn(async move {
            shutdown.cancelled().await;
            stopping.cancel();
        });
        Listener::new(router, &*self.ambient, self.tls.clone(), self.connections)
            .serve(listener, self.stopping.clone())
            .await;
        heartbeats.await.context("a task of the broker died")?;
        keys.await.context("a task of the broker died")?;
        requests.await.context("a task of the broker died")?;
        retention.await.context("a task of the broker died")?;
        self.close().await
    }

    /// Stops the broker's own tasks, after all that is queued is written.
    async fn close(&self) -> std::result::Result<(), StartError> {
        self.stopped.cancel();
        let mut tasks =
            std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let mut end = Ok(());
        while let Some(outcome) = tasks.join_next().await {
            end = end.and(outcome.context("a task of the broker died")?);
        }
        self.db.close().await;
        Ok(end.context(
            "the broker cannot go on: look at the disk of its database, then start it again",
        )?)
    }

    /// How many times requests have read the database. Polls of unchanged agents never do.
    pub fn database_reads(&self) -> u64 {
        self.db.reads()
    }

    /// Makes a change, and answers once it is durable and this replica's own polls see it.
    async fn change<M: Mutation>(&self, actor: Actor, mutation: M) -> Result<M::Output> {
        let (output, revision) = self.writer.change(actor, mutation).await?;
        if M::LANE == writer::Lane::Desired {
            // Late is fine: it is durable, and the index gets there.
            let _ = tokio::time::timeout(OWN_INDEX, self.fleet.reached(revision)).await;
        }
        Ok(output)
    }

    /// An agent with what is known of its polls here and in the database.
    fn agent(&self, row: AgentRow) -> Agent {
        let heartbeat = self.heartbeat(row.id, row.heartbeat);
        Agent {
            id: row.id,
            name: row.name,
            revision: row.revision,
            labels: row.labels,
            annotations: row.annotations,
            paused: row.paused,
            retiring: row.retiring,
            facts: row.facts,
            cluster: row.bond.cluster,
            refused_clusters: row.bond.refused,
            version: row.bond.version,
            created_at: row.created_at,
            last_seen: heartbeat.map(|heartbeat| heartbeat.at),
            silent: self.is_silent(heartbeat),
        }
    }

    fn heartbeat(
        &self,
        agent: brokkr_core::AgentId,
        stored: Option<Heartbeat>,
    ) -> Option<Heartbeat> {
        let here = self.fleet.seat(agent).and_then(|seat| seat.heartbeat());
        [here, stored]
            .into_iter()
            .flatten()
            .max_by_key(|heartbeat| heartbeat.at)
    }

    fn is_silent(&self, heartbeat: Option<Heartbeat>) -> bool {
        heartbeat.is_none_or(
            |Heartbeat {
                 at,
                 interval_seconds,
             }| {
                let promised = i64::try_from(interval_seconds)
                    .unwrap_or(i64::MAX)
                    .saturating_mul(3);
                self.ambient.now().duration_since(at)
                    > SILENT_AFTER.max(SignedDuration::from_secs(promised))
            },
        )
    }

    /// A status as far as it is still known to be true.
    fn observed(&self, status: TargetStatus, stored: Option<Heartbeat>) -> TargetStatus {
        let heartbeat = self.heartbeat(status.agent, stored);
        status.observed(
            heartbeat.map(|heartbeat| heartbeat.at),
            self.is_silent(heartbeat),
        )
    }
}

/// The fleet index, and how far it is.
async fn load(db: &Db) -> Result<(Index, Progress)> {
    let mut tx = db.snapshot().await?;
    let upto = store::broker::progress(&mut tx).await?;
    tx.may_take_long();
    Ok((Index::load(&mut tx).await?, upto))
}

/// Runs a task of the broker. One that fails or dies takes the broker along: without its writer or its follower it
/// would serve what is no longer true. [`Broker::close`] then tells why.
async fn or_stop(
    task: impl Future<Output = Result<()>>,
    stopping: CancellationToken,
) -> Result<()> {
    let guard = stopping.drop_guard();
    task.await?;
    guard.disarm();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_dies_stops_the_broker_and_one_that_ends_does_not() {
        let stopping = CancellationToken::new();
        let ended = or_stop(async { Ok(()) }, stopping.clone()).await;
        assert!(ended.is_ok() && !stopping.is_cancelled());
        let died = tokio::spawn(or_stop(async { panic!("a defect") }, stopping.clone())).await;
        assert!(died.is_err() && stopping.is_cancelled());
        let stopping = CancellationToken::new();
        let failed = async { Err(error::Error::Unavailable(String::new())) };
        let failed = or_stop(failed, stopping.clone()).await;
        assert!(failed.is_err() && stopping.is_cancelled());
    }
}
