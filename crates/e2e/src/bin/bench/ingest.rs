//! How many events the broker makes durable when agents have much to tell.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use brokkr_client::{Client, EventFilter};
use brokkr_core::ObjectKey;
use brokkr_core::ambient::System;
use brokkr_core::id::{DeploymentObjectId, EventId, StackId};
use brokkr_core::wire::{
    Action, AgentEvent, Health, ObjectOutcome, ObjectResult, StackStatus, Sync,
};
use brokkr_e2e::{Broker, Engine, Stage, event};
use futures::future::try_join_all;

use crate::figure::{Figure, Must};

const RUNS: usize = 3;
const AGENTS: usize = 32;
/// Of each agent.
const STACKS: usize = 10;
const BATCH: u32 = 100;
const RUN: Duration = Duration::from_secs(5);
/// A run with less traffic proves nothing.
const LEAST_EVENTS: u32 = 20_000;

pub async fn measure() -> Result<Vec<Figure>> {
    Ok(vec![
        on(Engine::Sqlite, "events_per_s_sqlite", 35_000.0).await?,
        on(Engine::Postgres, "events_per_s_postgres", 60_000.0).await?,
    ])
}

async fn on(engine: Engine, name: &'static str, least: f64) -> Result<Figure> {
    let stage = Stage::set(engine).await?;
    let broker = stage.broker("broker").await?;
    let agents = agents(&broker).await?;
    let mut rates = Vec::new();
    for run in 1..=RUNS {
        let start = Instant::now();
        let reporting = agents.iter().map(|agent| agent.report_until(start + RUN));
        let reported: u32 = try_join_all(reporting).await?.iter().sum();
        let rate = f64::from(reported) / start.elapsed().as_secs_f64();
        ensure!(
            reported >= LEAST_EVENTS,
            "{reported} events are too little traffic"
        );
        eprintln!("{name}, run {run}: {rate:.0}/s");
        rates.push(rate);
    }
    for agent in &agents {
        agent.check(broker.admin()).await?;
    }
    Ok(Figure::of(name, "/s", &rates, Must::AtLeast(least)))
}

struct Agent {
    name: String,
    client: Client,
    stacks: Vec<StackId>,
}

/// Agents that each have stacks of their own to tell of.
async fn agents(broker: &Broker) -> Result<Vec<Agent>> {
    let mut agents = Vec::new();
    for number in 0..AGENTS {
        let name = format!("agent-{number}");
        let client = broker.client(&broker.new_agent(&name).await?)?;
        let mut stacks = Vec::new();
        for stack in 0..STACKS {
            let stack = format!("stack-{number}-{stack}");
            stacks.push(broker.new_stack(&stack).await?.id);
            broker.target(&name, &stack).await?;
        }
        agents.push(Agent {
            name,
            client,
            stacks,
        });
    }
    Ok(agents)
}

impl Agent {
    /// Tells of attempts at all stacks in turn, and then how each is doing, again and again.
    async fn report_until(&self, end: Instant) -> Result<u32> {
        let mut reported = 0;
        while Instant::now() < end {
            let stacks = self.stacks.iter().cycle().take(BATCH as usize);
            let events = stacks.map(|stack| applied(*stack)).collect();
            self.client.report_events(events).await?;
            let statuses = self.stacks.iter().map(|stack| synced(*stack)).collect();
            self.client.report_status(statuses).await?;
            reported += BATCH;
        }
        Ok(reported)
    }

    /// What is told after a run is found before all that the run told.
    async fn check(&self, admin: &Client) -> Result<()> {
        let last = applied(*self.stacks.first().context("a stack")?);
        self.client.report_events(vec![last.clone()]).await?;
        let filter = EventFilter {
            agent: Some(self.name.parse()?),
            ..EventFilter::default()
        };
        let newest = admin.events(&filter, BATCH as usize + 1).await?;
        let ids: Vec<EventId> = newest.iter().map(|event| event.event.id).collect();
        ensure!(
            ids.first() == Some(&last.id) && ids.len() == BATCH as usize + 1,
            "what {} told is not all there",
            self.name
        );
        Ok(())
    }
}

/// An event of an attempt that changed one object: about 400 bytes of JSON.
fn applied(stack: StackId) -> AgentEvent {
    let object = ObjectKey {
        group: String::new(),
        kind: "ConfigMap".to_owned(),
        namespace: Some("shop".to_owned()),
        name: "checkout-settings".to_owned(),
    };
    AgentEvent {
        action: Action::Apply,
        deployment_object: Some(DeploymentObjectId::generate(&System)),
        sequence: Some(1),
        objects: vec![ObjectOutcome {
            object,
            result: ObjectResult::Changed,
            reason: None,
        }],
        ..event(stack)
    }
}

/// All is well with a stack.
pub fn synced(stack: StackId) -> StackStatus {
    StackStatus {
        stack,
        seen: Some(1),
        applied: Some(1),
        sync: Sync::Synced,
        health: Health::Current,
        reason: None,
        held: None,
    }
}
