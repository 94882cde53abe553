//! One agent without a cluster: asks, checks, takes its time, reports.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use brokkr_client::{Client, Error, Poll};
use brokkr_core::ambient::Ambient;
use brokkr_core::id::{EventId, StackId};
use brokkr_core::wire::{
    Action, AgentEvent, FEATURES, Health, OpenSession, Outcome, StackStatus, Sync, TargetStack,
    TargetState,
};
use brokkr_core::{Backoff, Digest, Epoch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::dice;
use super::ledger::Ledger;
use super::tally::Tally;

/// How agents behave.
#[derive(Clone, Copy)]
pub struct Habits {
    /// How long a poll waits for something new.
    pub wait: Duration,
    /// From one poll to the next, if it does not wait.
    pub interval: Duration,
    pub apply_time: Duration,
    /// How many of all attempts fail, from 0 to 1.
    pub failures: f64,
}

/// What all agents of a simulation share.
pub struct World {
    pub habits: Habits,
    pub ledger: Ledger,
    pub tally: Tally,
    pub ambient: Box<dyn Ambient>,
    /// What agents have begun: they go on polling meanwhile.
    pub work: TaskTracker,
    pub stopping: CancellationToken,
}

pub struct Agent {
    world: Arc<World>,
    /// What it asks with, over a connection of its own.
    client: Client,
    /// What it reports with. Reports of all agents share connections: two for each would soon use up the ports that one address has.
    reporting: Client,
    number: usize,
    /// What it must be told to run.
    stack: Option<StackId>,
    etag: Option<String>,
    accepted: Option<(Epoch, u64)>,
    /// The newest sequence that it has seen of each stack.
    seen: HashMap<StackId, u64>,
    away_since: Option<Instant>,
}

/// As real agents come back: after one to two seconds first, a minute at last.
const PATIENCE: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(1));

impl Agent {
    pub fn new(
        world: &Arc<World>,
        client: Client,
        reporting: Client,
        number: usize,
        stack: Option<StackId>,
    ) -> Self {
        Self {
            world: Arc::clone(world),
            client,
            reporting,
            number,
            stack,
            etag: None,
            accepted: None,
            seen: HashMap::new(),
            away_since: None,
        }
    }

    /// Lives until the simulation stops.
    pub async fn run(mut self) {
        let stopping = self.world.stopping.clone();
        stopping.run_until_cancelled(self.live()).await;
    }

    async fn live(&mut self) {
        let mut backoff = PATIENCE;
        let mut has_session = false;
        loop {
            let outcome = if has_session {
                self.turn().await
            } else {
                self.open().await.map(|()| has_session = true)
            };
            match outcome {
                Ok(()) => {
                    backoff.reset();
                    self.is_back();
                }
                Err(error) => {
                    self.world.tally.failed(&error);
                    self.away_since.get_or_insert_with(Instant::now);
                    sleep(backoff.next_after(error.retry_after(), &*self.world.ambient)).await;
                }
            }
        }
    }

    fn is_back(&mut self) {
        if let Some(since) = self.away_since.take() {
            self.world.tally.away.add(since.elapsed());
        }
    }

    async fn open(&mut self) -> Result<(), Error> {
        let cluster = format!("simulated-{}", self.number);
        let open = OpenSession {
            cluster: cluster
                .parse()
                .map_err(|error| Error::Setup(format!("{error}")))?,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            features: FEATURES.iter().map(ToString::to_string).collect(),
        };
        let session = self.client.open_session(&open).await?;
        self.reporting = self.reporting.in_session(session);
        self.client = self.client.in_session(session);
        Ok(())
    }

    /// One poll, and what follows from it.
    async fn turn(&mut self) -> Result<(), Error> {
        let Habits { wait, interval, .. } = self.world.habits;
        let patience = match self.away_since {
            None => wait,
            // Its outage is over when it is answered, not when there is something new.
            Some(_) => Duration::ZERO,
        };
        let polled = self
            .client
            .target_state(self.etag.as_deref(), patience, interval)
            .await?;
        match polled {
            Poll::Unchanged => self.world.tally.unchanged.add(1),
            Poll::Changed { etag, state } => {
                self.world.tally.changed.add(1);
                self.take(*state).await?;
                self.etag = Some(etag);
            }
        }
        if wait.is_zero() {
            sleep(dice::about(interval, &*self.world.ambient)).await;
        }
        Ok(())
    }

    /// Checks a state, and fetches what is new in it. If that fails, the same state is asked for again.
    async fn take(&mut self, state: TargetState) -> Result<(), Error> {
        self.check(&state);
        for entry in &state.stacks {
            let seen = self.seen.get(&entry.stack).copied().unwrap_or_default();
            if Some(entry.stack) != self.stack || entry.sequence <= seen {
                continue;
            }
            self.fetch(entry).await?;
            let skipped = (entry.sequence - seen).saturating_sub(1);
            self.world.tally.skipped.add(skipped);
            self.seen.insert(entry.stack, entry.sequence);
            let (world, client) = (Arc::clone(&self.world), self.reporting.clone());
            let attempt = apply(world, client, entry.clone());
            self.world.work.spawn(attempt);
        }
        let before = self.accepted.replace((state.epoch, state.revision));
        if before.is_none() {
            self.world.tally.settled.add(1);
        }
        self.client = self.client.returning(state.epoch, &state.state_token);
        Ok(())
    }

    /// Whether the state can follow those before it.
    fn check(&self, state: &TargetState) {
        let tally = &self.world.tally;
        let who = format!("agent {}", self.number);
        match self.accepted {
            Some((epoch, revision)) if epoch == state.epoch && state.revision < revision => {
                tally.wrong(format!(
                    "{who} was at revision {revision} and got {}",
                    state.revision
                ));
            }
            _ => {}
        }
        let of = |stack| state.stacks.iter().find(|entry| entry.stack == stack);
        if let Some(stack) = self.stack.filter(|stack| of(*stack).is_none()) {
            tally.wrong(format!("{who} was not told to run stack {stack}"));
        }
        for (stack, seen) in &self.seen {
            if let Some(entry) = of(*stack).filter(|entry| entry.sequence < *seen) {
                tally.wrong(format!(
                    "{who} had sequence {seen} of stack {} and got {}",
                    entry.name, entry.sequence
                ));
            }
        }
    }

    async fn fetch(&self, entry: &TargetStack) -> Result<(), Error> {
        let World { tally, ledger, .. } = &*self.world;
        let content = self.client.manifests(entry.deployment_object).await?;
        let now = Instant::now();
        tally.contents.add(1);
        tally.content_bytes.add(content.len() as u64);
        let digest = Digest::of(entry.default_namespace.as_deref(), &content);
        if digest != entry.digest {
            tally.wrong(format!(
                "agent {} got content {digest} instead of {}",
                self.number, entry.digest
            ));
        } else if let Some(arrival) = ledger.arrived(digest, now) {
            tally.arrived(arrival);
        } else {
            tally.wrong(format!(
                "agent {} got content {digest}, which nobody published",
                self.number
            ));
        }
        Ok(())
    }
}

/// Applies as often as it takes, and reports each attempt and how the stack is doing after it.
async fn apply(world: Arc<World>, client: Client, entry: TargetStack) {
    let work = async {
        loop {
            sleep(dice::about(world.habits.apply_time, &*world.ambient)).await;
            let works = dice::fraction(&*world.ambient) >= world.habits.failures;
            let event = event(&world, &entry, works);
            say(&world, || client.report_events(vec![event.clone()])).await;
            world.tally.events.add(1);
            let status = status(&entry, works);
            say(&world, || client.report_status(vec![status.clone()])).await;
            world.tally.statuses.add(1);
            if works {
                return;
            }
        }
    };
    world.stopping.run_until_cancelled(work).await;
}

/// Reports as long as it takes to be heard.
async fn say<F: Future<Output = Result<(), Error>>>(world: &World, report: impl Fn() -> F) {
    let mut backoff = PATIENCE;
    while let Err(error) = report().await {
        world.tally.failed(&error);
        sleep(backoff.next_after(error.retry_after(), &*world.ambient)).await;
    }
}

fn event(world: &World, entry: &TargetStack, works: bool) -> AgentEvent {
    let now = world.ambient.now();
    AgentEvent {
        id: EventId::generate(&*world.ambient),
        stack: entry.stack,
        deployment_object: Some(entry.deployment_object),
        sequence: Some(entry.sequence),
        action: Action::Apply,
        outcome: if works {
            Outcome::Succeeded
        } else {
            Outcome::Failed
        },
        reason: (!works).then(|| "simulated: this attempt was to fail".to_owned()),
        objects: Vec::new(),
        count: 1,
        first: now,
        last: now,
    }
}

fn status(entry: &TargetStack, works: bool) -> StackStatus {
    StackStatus {
        stack: entry.stack,
        seen: Some(entry.sequence),
        applied: works.then_some(entry.sequence),
        sync: if works { Sync::Synced } else { Sync::Failed },
        health: if works {
            Health::Current
        } else {
            Health::Unknown
        },
        reason: None,
        held: None,
    }
}

#[cfg(test)]
mod tests;
