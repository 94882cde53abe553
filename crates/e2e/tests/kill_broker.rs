//! `kill -9` of a broker under concurrent writes: what it acknowledged is there afterwards, exactly once.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use brokkr_core::id::{EventId, StackId};
use brokkr_core::wire::{DeploymentObject, RecordedEvent};
use brokkr_e2e::{Broker, PATIENCE, Raw, Stage, millis_up_to};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::writers::{Acknowledged, keep_publishing, keep_reporting};

pub mod writers;

on_both_engines!(without a cluster: what_a_killed_broker_acknowledged_is_there);

/// Two writers share each stack, so that sequences are contended.
const STACKS: usize = 3;
const WRITERS_PER_STACK: usize = 2;
const REPORTERS: usize = 2;

/// Kills before which nothing was written prove nothing.
const WRITES_PER_ROUND: usize = 5;

async fn what_a_killed_broker_acknowledged_is_there(stage: &Stage) -> Result<()> {
    let rounds = if std::env::var_os("BROKKR_TORTURE").is_some() {
        200
    } else {
        20
    };
    let mut broker = stage.broker("broker").await?;
    let cast = Cast::register(&broker).await?;
    let mut all = Acknowledged::default();
    let mut slowest_start = Duration::ZERO;
    for round in 1..=rounds {
        let acknowledged = cast.write_until_killed(&mut broker).await?;
        let start = Instant::now();
        broker.start_again().await?;
        slowest_start = slowest_start.max(start.elapsed());
        cast.verify(&broker, &acknowledged)
            .await
            .with_context(|| format!("after kill {round}"))?;
        stage.database().check_integrity().await?;
        all.extend(acknowledged);
    }
    cast.verify(&broker, &all).await?;
    let writes = all.published.len() + all.reported.len();
    ensure!(
        writes >= rounds * WRITES_PER_ROUND,
        "{writes} writes in {rounds} rounds prove nothing"
    );
    println!(
        "{rounds} kills, {writes} acknowledged writes, none lost; slowest start {slowest_start:?}"
    );
    Ok(())
}

/// Who writes, and where.
struct Cast {
    stacks: Vec<StackId>,
    agent_key: String,
}

impl Cast {
    async fn register(broker: &Broker) -> Result<Self> {
        let agent_key = broker.new_agent("agent").await?;
        let mut stacks = Vec::new();
        for number in 0..STACKS {
            let name = format!("stack-{number}");
            stacks.push(broker.new_stack(&name).await?.id);
            broker.target("agent", &name).await?;
        }
        Ok(Self { stacks, agent_key })
    }

    /// Lets all write until the broker dies under them, and returns what it had acknowledged.
    async fn write_until_killed(&self, broker: &mut Broker) -> Result<Acknowledged> {
        let (count, mut counted) = watch::channel(0);
        let mut writers = JoinSet::new();
        for stack in &self.stacks {
            for _ in 0..WRITERS_PER_STACK {
                writers.spawn(keep_publishing(
                    broker.admin().clone(),
                    *stack,
                    count.clone(),
                ));
            }
        }
        for _ in 0..REPORTERS {
            let agent = broker.client(&self.agent_key)?;
            writers.spawn(keep_reporting(agent, self.stacks[0], count.clone()));
        }
        let busy = counted.wait_for(|count| *count >= WRITES_PER_ROUND);
        tokio::time::timeout(PATIENCE, busy)
            .await
            .context("nobody gets anything written")??;
        tokio::time::sleep(millis_up_to(200)).await;
        broker.kill().await?;
        let mut all = Acknowledged::default();
        while let Some(acknowledged) = writers.join_next().await {
            all.extend(acknowledged??);
        }
        Ok(all)
    }

    async fn verify(&self, broker: &Broker, acknowledged: &Acknowledged) -> Result<()> {
        let raw = Raw::admin(broker)?;
        let mut found = HashMap::new();
        for stack in &self.stacks {
            let history: Vec<DeploymentObject> = raw
                .list(&format!("/stacks/{stack}/deployment-objects"))
                .await?;
            let sequences = history.iter().rev().map(|object| object.sequence);
            ensure!(
                sequences.eq(1..=history.len() as u64),
                "the sequences of {stack} have gaps or duplicates"
            );
            found.extend(history.into_iter().map(|object| (object.id, object)));
        }
        for object in &acknowledged.published {
            ensure!(
                found.get(&object.id) == Some(object),
                "lost or changed: {object:?}"
            );
        }
        let events: Vec<RecordedEvent> = raw.list("/events").await?;
        let ids: HashSet<EventId> = events.iter().map(|recorded| recorded.event.id).collect();
        ensure!(ids.len() == events.len(), "an event is there twice");
        let lost = acknowledged
            .reported
            .iter()
            .filter(|id| !ids.contains(id))
            .count();
        ensure!(lost == 0, "{lost} acknowledged events are lost");
        Ok(())
    }
}
