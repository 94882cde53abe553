use brokkr_core::ClusterUid;
use brokkr_core::name::{Name, Reference};
use brokkr_core::wire::{self, CreateAgent};
use clap::{Args, Subcommand};

use super::new_key::NewKey;
use super::traits::GivenTraits;
use crate::connection::Connection;
use crate::output::{Cell, Output, Row};
use crate::terminal::say;

mod delete;
mod pause;
mod rbac;
mod rebind;
pub mod run;
mod set;

/// Run an agent in a cluster, or register agents
///
/// Without a subcommand it runs: it fetches its target state from the broker, applies it to the
/// cluster, and reports. Outside of a cluster it needs a kubeconfig, inside it uses its service account.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "Example:
  brokkr agent create eu-1 --key-file eu-1.key
  brokkr agent --broker https://broker.example --key-file eu-1.key")]
pub struct Agent {
    #[command(subcommand)]
    registry: Option<Registry>,

    #[command(flatten)]
    run: run::Run,
}

#[derive(Subcommand)]
enum Registry {
    Create(Create),
    List(List),
    Get(Get),
    Set(set::Set),
    Pause(pause::Pause),
    Resume(pause::Resume),
    Rebind(rebind::Rebind),
    Rbac(rbac::Rbac),
    Delete(delete::Delete),
}

/// Register an agent and show its key, this once
///
/// The key goes to stdout and everything else to stderr, so that it can be sent into a file or a secret store.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr agent create eu-1 --key-file eu-1.key --label env=prod --label gpu --annotation zone=eu-west-1a
  brokkr agent create eu-1 | kubectl create secret generic brokkr --from-file=key=/dev/stdin")]
struct Create {
    /// The agent's name, such as its cluster's
    name: Name,
    #[command(flatten)]
    traits: GivenTraits,
    #[command(flatten)]
    new_key: NewKey,
    #[command(flatten)]
    connection: Connection,
}

/// Show all agents
#[derive(Args)]
#[command(after_help = "Example:
  brokkr agent list -o wide")]
struct List {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

/// Show one agent
#[derive(Args)]
#[command(after_help = "Example:
  brokkr agent get eu-1 -o json")]
struct Get {
    /// Its name or id
    agent: Reference,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Agent {
    pub async fn run(self) -> anyhow::Result<()> {
        match self.registry {
            Some(Registry::Create(create)) => create.run().await,
            Some(Registry::List(list)) => list.run().await,
            Some(Registry::Get(get)) => get.run().await,
            Some(Registry::Set(set)) => set.run().await,
            Some(Registry::Pause(pause)) => pause.run().await,
            Some(Registry::Resume(resume)) => resume.run().await,
            Some(Registry::Rebind(rebind)) => rebind.run().await,
            Some(Registry::Rbac(rbac)) => rbac.run().await,
            Some(Registry::Delete(delete)) => delete.run().await,
            None => self.run.run().await,
        }
    }
}

impl Create {
    async fn run(self) -> anyhow::Result<()> {
        let create = CreateAgent {
            labels: self.traits.labels()?,
            annotations: self.traits.annotations()?,
            ..CreateAgent::named(self.name)
        };
        let place = self.new_key.place()?;
        let created = self.connection.client()?.create_agent(&create).await?;
        say(&format!("Registered agent {}.", created.agent.name));
        self.new_key
            .hand_over(place, &created.pak, &created.agent, &created)
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        self.output.list(&self.connection.client()?.agents().await?)
    }
}

impl Get {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let agent = client.agent(&self.agent).await?;
        self.output.one(&agent)?;
        if let Some(refused) = agent.refused_clusters.last() {
            say(&told_of_refused(&agent.name, refused));
        }
        Ok(())
    }
}

fn told_of_refused(agent: &Name, refused: &ClusterUid) -> String {
    format!(
        "The key of agent {agent} was used for cluster {refused} too, where nothing is done. Was it copied by mistake? Register another agent for that cluster: brokkr agent create NAME --key-file FILE. Does that cluster take the place of this one? Stop the agent of the old one, then: brokkr agent rebind {agent}"
    )
}

impl Row for wire::Agent {
    fn name(&self) -> String {
        self.name.to_string()
    }

    fn cells(&self) -> Vec<Cell> {
        let state = match self.last_seen {
            None => "never seen",
            Some(_) if self.silent => "silent",
            Some(_) => "polling",
        };
        let paused = if self.paused { ", paused" } else { "" };
        let retiring = if self.retiring.is_some() {
            ", retiring"
        } else {
            ""
        };
        let refused = match self.refused_clusters.len() {
            0 => String::new(),
            count => format!(", {count} other cluster(s) refused"),
        };
        let mut cells = vec![
            Cell::text("NAME", &self.name),
            Cell::text("STATE", format!("{state}{paused}{retiring}{refused}")),
            Cell::time("SEEN", self.last_seen),
            Cell::time("CREATED", self.created_at),
            Cell::text("LABELS", &self.labels).wide(),
            Cell::text("ANNOTATIONS", &self.annotations).wide(),
        ];
        cells.extend([
            Cell::optional("CLUSTER", self.cluster.as_ref()).wide(),
            Cell::optional("VERSION", self.version.as_ref()).wide(),
        ]);
        // A list has no facts, so it has no columns of them either.
        if let Some(facts) = &self.facts {
            cells.extend([
                Cell::optional("KUBERNETES", facts.kubernetes_version.as_ref()).wide(),
                Cell::optional("PROVIDER", facts.provider.as_ref()).wide(),
                Cell::optional("REGION", facts.region.as_ref()).wide(),
                Cell::text("KINDS", facts.kinds.len()).wide(),
            ]);
        }
        cells.push(Cell::text("ID", self.id).wide());
        cells
    }
}
