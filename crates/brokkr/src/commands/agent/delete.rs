use brokkr_client::{Client, Retirement};
use brokkr_core::name::Reference;
use brokkr_core::wire::{self, Agent, Plan, PlannedTarget};
use clap::{Args, ValueEnum};

use crate::commands::plan::leaving;
use crate::connection::Connection;
use crate::terminal::{Confirmation, say};

/// Delete an agent: it finishes what it has in its cluster, and is retired then
///
/// Without stacks it is retired at once. Otherwise say what becomes of them. While it is retiring it takes nothing new, and
/// its key lives; that cannot be taken back.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr agent delete eu-1 --workloads remove
  brokkr agent delete eu-1 --workloads keep
  brokkr agent delete eu-1 --force --yes      its cluster is gone")]
pub struct Delete {
    /// Its name or id
    agent: Reference,

    /// What becomes of what it runs; needed unless it runs and removes nothing
    #[arg(long, value_name = "WHAT", conflicts_with = "force")]
    workloads: Option<Workloads>,

    /// Abandon it: it is retired at once, and its cluster stays as it is
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    connection: Connection,
}

/// What becomes of what an agent runs.
#[derive(Clone, Copy, ValueEnum)]
enum Workloads {
    /// Each stack is removed from the cluster, as its own policy says
    Remove,
    /// Everything stays in the cluster, and is nobody's from then on
    Keep,
}

impl Delete {
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let agent = client.agent(&self.agent).await?;
        let id = Reference::Id(agent.id.uuid());
        let Some(retirement) = self.retirement() else {
            return self.delete(&client, &agent, &id).await;
        };
        let plan = client.plan_retire_agent(&id, retirement).await?;
        self.confirmation.ask(&format!(
            "Delete agent {}? {}",
            agent.name,
            consequence(retirement, &plan)
        ))?;
        let agreeing = client.agreeing_to(&plan);
        say(&match agreeing.retire_agent(&id, retirement).await? {
            None => format!("Retired agent {}.", agent.name),
            Some(agent) => format!(
                "Agent {0} is retiring. `brokkr removals list --agent {0}` shows what it still has to confirm.",
                agent.name
            ),
        });
        Ok(())
    }

    /// Deletes an agent that has nothing; the broker refuses it for any other.
    async fn delete(&self, client: &Client, agent: &Agent, id: &Reference) -> anyhow::Result<()> {
        let plan = client.plan_delete_agent(id).await?;
        self.confirmation.ask(&format!(
            "Delete agent {}? It has no stacks, and its key opens nothing any more.",
            agent.name
        ))?;
        client.agreeing_to(&plan).delete_agent(id).await?;
        say(&format!("Retired agent {}.", agent.name));
        Ok(())
    }

    fn retirement(&self) -> Option<Retirement> {
        let workloads = self.workloads.map(|workloads| match workloads {
            Workloads::Remove => Retirement::Finish(wire::Workloads::Remove),
            Workloads::Keep => Retirement::Finish(wire::Workloads::Keep),
        });
        self.force.then_some(Retirement::Force).or(workloads)
    }
}

fn consequence(retirement: Retirement, plan: &Plan) -> String {
    let name = |target: &PlannedTarget| {
        Reference::of(target.generator.as_ref(), &target.stack_name).to_string()
    };
    let stacks = match plan.left {
        0 => "It runs no stack".to_owned(),
        count => format!("It runs {count} stack(s) ({})", leaving(plan, name)),
    };
    let then = match retirement {
        Retirement::Finish(wire::Workloads::Remove) => {
            "it removes each from its cluster, as the stack's policy says, and is retired when it has confirmed that"
        }
        Retirement::Finish(wire::Workloads::Keep) => {
            "their objects stay in its cluster as they are, as nobody's, and it is retired when it has let go of them"
        }
        Retirement::Force => {
            "it is retired at once, whatever it is doing; its cluster stays as it is, and nobody looks after it"
        }
    };
    format!("{stacks}; {then}.")
}
