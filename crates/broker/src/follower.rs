//! Keeps the fleet index at the database's revision: one consistent read snapshot a step.
//!
//! Commits of this replica nudge it; it looks once a second anyway, because another process may have
//! written. A gap in the changes, or one that this version cannot read, means a full reload.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use brokkr_core::wire::{About, Hint};
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::error::Result;
use crate::fleet::{Fleet, Index, Update};
use crate::store::broker::Progress;
use crate::store::changes::{self, CHANNEL, Touched};
use crate::store::{self, Db, Tx, feed, in_time, stacks};
use crate::watch::{Feed, Told};
use crate::writer::Lane;

/// How stale the index can be when no hint arrives.
const TICK: Duration = Duration::from_secs(1);
/// How often it is seen whether the connection that listens is alive, and how long its answer may take.
const ASK: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(5);

/// The one writer of the fleet index.
pub(crate) struct Follower {
    pub(crate) db: Arc<Db>,
    pub(crate) fleet: Arc<Fleet>,
    /// What it tells those who watch.
    pub(crate) feed: Arc<Feed>,
    /// Somebody here or at another replica has committed.
    pub(crate) committed: Arc<Notify>,
}

impl Follower {
    /// Follows until the broker stops.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.committed.notified() => {}
                _ = tick.tick() => {}
                () = shutdown.cancelled() => return,
            }
            match self.step().await {
                Ok(()) => self.fleet.followed(),
                Err(error) => {
                    tracing::warn!(%error, cause = ?error, "the fleet index could not be brought up to date");
                }
            }
        }
    }

    /// Moves the index to the revision that the database has, and tells what happened to those who watch.
    pub(crate) async fn step(&self) -> Result<()> {
        let mut tx = self.db.snapshot().await?;
        let behind = self.fleet.revision();
        let upto = store::broker::progress(&mut tx).await?;
        let follows = changes::lineage(behind, &mut tx).await? == self.fleet.lineage();
        if follows && upto.revision == behind {
            return self.tell(upto, &HashMap::new(), &mut tx).await;
        }
        if !follows {
            tracing::error!(
                revision = behind,
                "the database does not have any more what this broker has read from it: it was restored, or took over while it was \
                 behind; what was accepted last may be lost"
            );
        }
        // A restored database may have come as far again, by other changes.
        let passed = if follows {
            passed_between(behind, upto.revision, &mut tx).await?
        } else {
            None
        };
        if let Some((lineage, touched)) = passed {
            let update = Update::read(upto.revision, lineage, &touched, &mut tx).await?;
            self.fleet.apply(update);
            return self.tell(upto, &touched, &mut tx).await;
        }
        tx.may_take_long();
        self.fleet.replace(Index::load(&mut tx).await?);
        self.feed.advance(upto, None);
        Ok(())
    }

    /// Tells what was touched, and what agents reported meanwhile.
    async fn tell(
        &self,
        upto: Progress,
        touched: &HashMap<Touched, u64>,
        tx: &mut Tx,
    ) -> Result<()> {
        let before = self.feed.upto();
        if upto == before {
            return Ok(());
        }
        let reported = if self.feed.is_watched() {
            feed::between(before.ingest, upto.ingest, tx).await?
        } else {
            None
        };
        let told = match reported {
            Some(reported) => Some(self.hints(touched, reported, tx).await?),
            None => None,
        };
        self.feed.advance(upto, told);
        Ok(())
    }

    /// Hints of what was touched and reported, with the owners of the stacks, each lane in its order.
    async fn hints(
        &self,
        touched: &HashMap<Touched, u64>,
        reported: HashMap<About, u64>,
        tx: &mut Tx,
    ) -> Result<Vec<Told>> {
        let touched = touched
            .iter()
            .filter_map(|(touched, version)| Some((Lane::Desired, touched.about()?, *version)));
        let reported = reported
            .into_iter()
            .map(|(about, version)| (Lane::Ingest, about, version));
        let news: Vec<_> = touched.chain(reported).collect();
        let stacks = news.iter().filter_map(|(_, about, _)| about.stack());
        let stacks: HashSet<_> = stacks.collect();
        let mut owners = self.fleet.owners(&stacks);
        for stack in stacks {
            // One that was deleted is not in the index any more.
            if !owners.contains_key(&stack)
                && let Some(owner) = stacks::owner(stack, tx).await?
            {
                owners.insert(stack, owner);
            }
        }
        let told = news.into_iter().map(|(lane, about, version)| Told {
            hint: Hint { about, version },
            lane,
            owner: about.stack().and_then(|stack| owners.get(&stack).copied()),
        });
        let mut told: Vec<_> = told.collect();
        told.sort_by_key(|told| told.hint.version);
        Ok(told)
    }
}

/// The ids of the revisions after one up to another, and what was touched in them, each with the last revision that
/// did; nothing if that cannot be told.
async fn passed_between(
    behind: u64,
    ahead: u64,
    tx: &mut Tx,
) -> Result<Option<(Vec<Uuid>, HashMap<Touched, u64>)>> {
    let lineage = changes::lineages(behind + 1, ahead, tx).await?;
    let changes = changes::since(behind, tx).await?;
    let passed = ahead.checked_sub(behind);
    if [lineage.len(), changes.len()].map(|count| Some(count as u64)) != [passed; 2] {
        return Ok(None);
    }
    let mut last = HashMap::new();
    for (revision, touched) in changes {
        let Some(touched) = touched else {
            return Ok(None);
        };
        // It concerns every agent.
        if touched.contains(&Touched::History) {
            return Ok(None);
        }
        last.extend(touched.into_iter().map(|row| (row, revision)));
    }
    Ok(Some((lineage, last)))
}

/// Listens for the commits of other replicas. It is a hint: when the connection breaks, the follower's tick
/// bounds how stale the index gets until listening works again.
pub(crate) async fn listen(db: Arc<Db>, committed: Arc<Notify>, shutdown: CancellationToken) {
    // A connection of its own for each attempt: one that hangs is left behind, and takes nothing from others.
    while let Some(pool) = db.to_listen() {
        let heard = tokio::select! {
            heard = hear(&pool, &committed) => heard,
            () = shutdown.cancelled() => return,
        };
        if let Err(error) = heard {
            tracing::warn!(%error, "listening for the commits of other brokers broke off");
        }
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

async fn hear(pool: &PgPool, committed: &Notify) -> sqlx::Result<()> {
    let mut listener = in_time(ANSWER, PgListener::connect_with(pool)).await?;
    in_time(ANSWER, listener.listen(CHANNEL)).await?;
    let mut ask = tokio::time::interval(ASK);
    loop {
        tokio::select! {
            heard = listener.recv() => {
                heard?;
                committed.notify_one();
            }
            // Who only listens never learns that the line is dead.
            _ = ask.tick() => {
                in_time(ANSWER, sqlx::query("select 1").execute(&mut listener)).await?;
            }
        }
    }
}
