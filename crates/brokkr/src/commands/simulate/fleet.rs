use std::fmt;
use std::time::Duration;

use brokkr_client::{Client, Error, Retirement};
use brokkr_core::id::{AgentId, StackId};
use brokkr_core::labels::{Key, Labels};
use brokkr_core::name::Reference;
use brokkr_core::pak::Pak;
use brokkr_core::targeting::{Rule, RuleParts, Targeting};
use brokkr_core::wire::{Code, CreateAgent, CreateStack, OnRemove};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::sleep;

use crate::terminal::say;

/// How many agents run which stacks.
#[derive(Clone, Copy)]
pub struct Shape {
    pub agents: usize,
    pub stacks: usize,
    /// How many agents run each stack; `stacks * reach <= agents`.
    pub reach: usize,
}

/// What a simulation made at the broker, and must delete again.
#[derive(Default)]
pub struct Fleet {
    stacks: Vec<StackId>,
    agents: Vec<AgentId>,
}

/// An agent that was registered.
pub struct Member {
    pub number: usize,
    pub key: Pak,
    /// The stack that it runs.
    pub stack: Option<StackId>,
}

/// What all of a simulation carries as a label, with its number as the value.
const LABEL: &str = "simulation.brokkr.io/run";
/// A key may have 128 requests under way.
const AT_ONCE: usize = 64;
/// A broker that is asked too much is asked again.
const PAUSE: Duration = Duration::from_millis(500);

impl Fleet {
    /// Registers agents and stacks, and says to whom what belongs. What was made before something failed is in the fleet.
    pub async fn register(
        &mut self,
        client: &Client,
        shape: Shape,
        run: &str,
    ) -> anyhow::Result<Vec<Member>> {
        let mut created = stream::iter(0..shape.agents)
            .map(|number| created_agent(client, shape, run, number))
            .buffer_unordered(AT_ONCE);
        let mut keys = Vec::with_capacity(shape.agents);
        while let Some((number, agent, key)) = created.try_next().await? {
            self.agents.push(agent);
            keys.push((number, key));
        }
        for number in 0..shape.stacks {
            let id = created_stack(client, run, number).await?;
            self.stacks.push(id);
        }
        let member = |(number, key)| Member {
            number,
            key,
            stack: self.stacks.get(number / shape.reach).copied(),
        };
        Ok(keys.into_iter().map(member).collect())
    }

    /// The stacks, in their order.
    pub fn stacks(&self) -> &[StackId] {
        &self.stacks
    }

    /// What earlier simulations left.
    pub async fn left_over(client: &Client) -> anyhow::Result<Self> {
        let label: Key = LABEL.parse()?;
        let of_simulations = |labels: &Labels| labels.get(&label).is_some();
        let (stacks, agents) = (client.stacks().await?, client.agents().await?);
        Ok(Self {
            stacks: stacks
                .iter()
                .filter(|stack| of_simulations(&stack.labels))
                .map(|stack| stack.id)
                .collect(),
            agents: agents
                .iter()
                .filter(|agent| of_simulations(&agent.labels))
                .map(|agent| agent.id)
                .collect(),
        })
    }

    /// Deletes all of it. There is no cluster in which anything would have to be removed first.
    pub async fn dissolve(self, client: &Client) -> anyhow::Result<()> {
        for stack in &self.stacks {
            let stack: Reference = stack.to_string().parse()?;
            let policy = Some(OnRemove::Orphan);
            let plan = client.plan_delete_stack(&stack, policy, &[]).await?;
            let agreeing = client.agreeing_to(&plan);
            patiently(|| agreeing.delete_stack(&stack, policy, &[])).await?;
        }
        stream::iter(&self.agents)
            .map(Ok)
            .try_for_each_concurrent(AT_ONCE, |agent| async move {
                let agent: Reference = agent.to_string().parse()?;
                patiently(|| client.retire_agent(&agent, Retirement::Force)).await?;
                anyhow::Ok(())
            })
            .await?;
        say(&format!("Deleted {self}."));
        Ok(())
    }
}

impl fmt::Display for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (agents, stacks) = (self.agents.len(), self.stacks.len());
        write!(f, "{agents} agent(s) and {stacks} stack(s)")
    }
}

async fn created_agent(
    client: &Client,
    shape: Shape,
    run: &str,
    number: usize,
) -> anyhow::Result<(usize, AgentId, Pak)> {
    let create = CreateAgent {
        labels: labels(run, number / shape.reach)?,
        ..CreateAgent::named(format!("simulated-{run}-{number}").parse()?)
    };
    let created = patiently(|| client.create_agent(&create)).await?;
    Ok((number, created.agent.id, created.pak.parse()?))
}

async fn created_stack(client: &Client, run: &str, number: usize) -> anyhow::Result<StackId> {
    let rule = Rule::try_from(RuleParts {
        labels: Some(format!("{LABEL}={run}.{number}").parse()?),
        ..RuleParts::default()
    })?;
    let create = CreateStack {
        labels: labels(run, number)?,
        targeting: Targeting::new(vec![rule], Vec::new())?,
        ..CreateStack::named(format!("simulated-{run}-{number}").parse()?)
    };
    Ok(patiently(|| client.create_stack(&create)).await?.id)
}

fn labels(run: &str, group: usize) -> anyhow::Result<Labels> {
    let mut labels = Labels::new();
    labels.insert(LABEL.parse()?, format!("{run}.{group}").parse()?)?;
    Ok(labels)
}

/// Asks again as long as the broker says that it is asked too much.
async fn patiently<T>(ask: impl AsyncFn() -> Result<T, Error>) -> Result<T, Error> {
    loop {
        match ask().await {
            Err(error) if error.code() == Some(Code::TooMany) => sleep(PAUSE).await,
            answer => return answer,
        }
    }
}
