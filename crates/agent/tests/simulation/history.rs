//! One history: an agent lives through a plot, and the laws are looked at all the way.

use std::sync::Arc;
use std::time::Duration;

use brokkr_agent::Settings;
use brokkr_client::Client;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::copies;
use super::lines::{ToBroker, to_cluster};
use super::plots::Plot;
use super::world::Shared;

/// How much happened.
pub struct Tale {
    pub writes: u64,
    pub deletions: u64,
    pub adoptions: u64,
    pub deaths: u64,
    pub holds: u64,
    /// How often a second copy of the agent began, and one was stopped and went on.
    pub rivals: u64,
    pub stops: u64,
    pub farewells: u64,
    /// How often something was written on the word of a cache.
    pub recalls: u64,
    /// How often a busy broker was not asked before it wanted to be.
    pub waits: u64,
    /// Every line of what happened.
    pub log: Vec<String>,
}

/// The longest way there and back.
const LATEST: Duration = Duration::from_mins(3);
/// Drift is found at the next resync, and retries are minutes apart.
const REST: Duration = Duration::from_mins(40);
/// Longer than between two looks at a stack.
const PAUSE: Duration = Duration::from_mins(6);
/// And a little more.
const HOUR: Duration = Duration::from_mins(65);
const LOOK: Duration = Duration::from_secs(30);

/// Plays a plot to its end; on a violation, the whole of it.
pub fn play(seed: u64, client: &Client, plot: Plot) -> Result<Tale, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async {
        let stage = Stage {
            shared: Shared::new(seed),
            client: client.clone(),
        };
        let ended = match plot {
            Plot::Chance => stage.chance().await,
            Plot::CutShort {
                points,
                then,
                with_fixed_fields,
            } => stage.cut_short(points, then, with_fixed_fields).await,
            Plot::Day(mood) => stage.day(mood).await,
            Plot::Away(before) => stage.away(before).await,
            Plot::Forgotten => stage.forgotten().await,
        };
        let mut world = stage.shared.world();
        let log = std::mem::take(&mut world.log);
        match ended {
            Ok(()) => Ok(Tale {
                writes: world.witness.writes,
                deletions: world.witness.deletions,
                adoptions: world.witness.adoptions,
                deaths: world.copies.deaths,
                holds: world.witness.holds,
                rivals: world.copies.rivals,
                stops: world.copies.stops,
                farewells: world.witness.farewells,
                recalls: world.witness.recalls,
                waits: world.witness.patience.waits,
                log,
            }),
            Err(law) => Err(format!("seed {seed}, {plot:?}: {law}\n{}", log.join("\n"))),
        }
    })
}

/// Where a plot is played.
pub struct Stage {
    pub shared: Shared,
    client: Client,
}

impl Stage {
    /// Whether no law was broken so far.
    pub fn is_lawful(&self) -> Result<(), String> {
        let world = self.shared.world();
        world.witness.violation.clone().map_or(Ok(()), Err)
    }

    /// Ends all trouble, and waits until all is as it should be.
    pub async fn come_to_rest(&self) -> Result<(), String> {
        self.shared.world().calm();
        self.shared.thawed.notify_waiters();
        self.shared.news.notify_waiters();
        // What was on its way when the trouble ended may say yet that the agent is no more.
        sleep(LATEST).await;
        if self.shared.world().witness.farewell.may_have_let_go {
            // It asks once an hour.
            sleep(HOUR).await;
            self.is_lawful()?;
        }
        self.resume().await?;
        for _ in 0..REST.as_secs() / LOOK.as_secs() {
            sleep(LOOK).await;
            self.is_lawful()?;
            let mut world = self.shared.world();
            if world.unrest().is_none() {
                break;
            }
            world.decide();
            world.accept_lost();
            drop(world);
            self.shared.news.notify_waiters();
        }
        let world = self.shared.world();
        world
            .unrest()
            .or_else(|| world.orphan())
            .map_or(Ok(()), Err)
    }

    /// What is paused is said to be, stays as it is, and goes on.
    async fn resume(&self) -> Result<(), String> {
        if !self.shared.world().is_anything_paused() {
            return Ok(());
        }
        // An agent that proves lost history is let go on first: what it holds, it holds for that reason.
        sleep(PAUSE).await;
        self.shared.world().accept_lost();
        self.shared.news.notify_waiters();
        sleep(PAUSE).await;
        self.is_lawful()?;
        let untold = self.shared.world().untold_pause();
        untold.map_or(Ok(()), Err)?;
        self.shared.world().resume_all();
        self.shared.news.notify_waiters();
        Ok(())
    }

    /// The agent begins a life with nothing but what is in the cluster and on the disk of its machine.
    pub fn begin(&self) -> Agent {
        let (life, wait, lease, cache) = {
            let mut world = self.shared.world();
            let life = world.copies.begins();
            world.note(format!("copy {life} of the agent begins"));
            let wait = if world.random.bool() { 50 } else { 0 };
            let cache = world.disk_of(life);
            (life, wait, world.lease, cache)
        };
        let settings = Settings {
            wait: Duration::from_secs(wait),
            lease,
            cache,
            ..Settings::default()
        };
        let way = ToBroker {
            shared: self.shared.clone(),
            life,
        };
        let broker = self.client.clone().over(Arc::new(way));
        let cluster = to_cluster(&self.shared, life);
        let ambient = self.shared.ambient.clone();
        let shutdown = CancellationToken::new();
        let run = brokkr_agent::run(settings, broker, cluster, ambient, shutdown.clone());
        let run = copies::stopping(self.shared.clone(), life, Box::pin(run));
        Agent {
            life,
            shutdown,
            task: tokio::spawn(async move { run.await.expect("an agent that goes on") }),
        }
    }
}

/// A copy of the agent, whose life ends when this is dropped.
pub struct Agent {
    pub life: u64,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Agent {
    /// Stops it as a rollout does, and waits for its end.
    pub async fn end(mut self) {
        self.shutdown.cancel();
        // A copy that died meanwhile has no end.
        let _ = timeout(Duration::from_mins(1), &mut self.task).await;
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
    }
}
