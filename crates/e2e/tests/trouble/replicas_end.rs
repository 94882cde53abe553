//! Replicas end under load, killed or asked to; their clients go to the others.

use anyhow::{Result, ensure};
use brokkr_e2e::{Broker, Engine, Failure, Stage, below, perform};

use super::is_torture;
use super::load::{Acknowledged, Load};
use super::polling::Polling;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: make test"]
async fn a_killed_replica_takes_nothing_along() -> Result<(), Failure> {
    perform(Engine::Postgres, killing).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: make test"]
async fn replicas_that_start_anew_in_turn_fail_nobody() -> Result<(), Failure> {
    perform(Engine::Postgres, rolling).await
}

const REPLICAS: [&str; 3] = ["first", "second", "third"];
const WRITERS: usize = 6;
const AGENTS: usize = 6;

/// Three replicas, with writers and waiting agents at all of them.
struct Cast {
    brokers: Vec<Broker>,
    load: Load,
    agents: Vec<Polling>,
}

impl Cast {
    async fn assemble(stage: &Stage) -> Result<Self> {
        let mut brokers = Vec::new();
        for name in REPLICAS {
            brokers.push(stage.broker(name).await?);
        }
        let load = Load::begin(&brokers.iter().collect::<Vec<_>>(), WRITERS).await?;
        let mut agents = Vec::new();
        for number in 0..AGENTS {
            let name = format!("agent-{number}");
            let key = brokers[0].new_agent(&name).await?;
            for stack in load.stacks() {
                brokers[0].target(&name, stack).await?;
            }
            let mut clients = Vec::new();
            for broker in &brokers {
                clients.push(broker.client(&key)?);
            }
            clients.rotate_left(number % REPLICAS.len());
            agents.push(Polling::begin(clients));
        }
        Ok(Self {
            brokers,
            load,
            agents,
        })
    }

    /// Everything acknowledged is everywhere, and every agent has the last of it.
    async fn ends_whole(self, writes: usize) -> Result<()> {
        let stacks = self.load.stacks().to_vec();
        let acknowledged = self.load.end().await?;
        ensure!(acknowledged.len() >= writes, "it was not under load");
        for broker in &self.brokers {
            acknowledged.is_at(broker, &stacks).await?;
        }
        for stack in &stacks {
            let broker = &self.brokers[0];
            let last = Acknowledged::last(broker, stack).await?;
            let stack = broker.admin().stack(&stack.parse()?).await?.id.to_string();
            for agent in &self.agents {
                agent.has(&stack, last).await?;
            }
        }
        for agent in self.agents {
            agent.end().await?;
        }
        Ok(())
    }
}

async fn killing(stage: &Stage) -> Result<()> {
    let mut cast = Cast::assemble(stage).await?;
    let rounds = if is_torture() { 100 } else { 5 };
    for _ in 0..rounds {
        cast.load.grows(10).await?;
        let victim = &mut cast.brokers[below(REPLICAS.len())];
        victim.kill().await?;
        cast.load.grows(10).await?;
        victim.start_again().await?;
    }
    cast.ends_whole(20 * rounds).await
}

async fn rolling(stage: &Stage) -> Result<()> {
    let mut cast = Cast::assemble(stage).await?;
    for broker in &mut cast.brokers {
        cast.load.grows(10).await?;
        let ended = broker.terminate().await?;
        ensure!(ended.success(), "{ended:?}");
        cast.load.grows(10).await?;
        broker.start_again().await?;
    }
    cast.ends_whole(20 * REPLICAS.len()).await
}
