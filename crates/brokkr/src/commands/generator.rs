use brokkr_core::name::{Name, Reference};
use brokkr_core::wire::{self, CreateGenerator, GeneratorScope};
use clap::{Args, Subcommand};

use super::new_key::NewKey;
use crate::connection::Connection;
use crate::output::{Cell, Output, Row};
use crate::terminal::{Confirmation, say};

/// Register generators: pipelines that publish stacks of their own
#[derive(Args)]
#[command(after_help = "Example:
  brokkr generator create ci --all-agents --key-file ci.key")]
pub struct Generator {
    #[command(subcommand)]
    registry: Registry,
}

#[derive(Subcommand)]
enum Registry {
    Create(Create),
    List(List),
    Get(Get),
    Delete(Delete),
}

/// Register a generator and show its key, this once
///
/// The key goes to stdout and everything else to stderr, so that it can be sent into a file or a secret store.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr generator create ci --all-agents --key-file ci.key")]
struct Create {
    /// The generator's name, such as its pipeline's
    name: Name,
    /// Let its stacks reach every agent; the only scope so far
    #[arg(long, required = true)]
    all_agents: bool,
    #[command(flatten)]
    new_key: NewKey,
    #[command(flatten)]
    connection: Connection,
}

/// Show all generators
#[derive(Args)]
#[command(after_help = "Example:
  brokkr generator list")]
struct List {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

/// Show one generator
#[derive(Args)]
#[command(after_help = "Example:
  brokkr generator get ci -o yaml")]
struct Get {
    /// Its name or id
    generator: Reference,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

/// Delete a generator that has no stacks left
#[derive(Args)]
#[command(after_help = "Example:
  brokkr generator delete ci")]
struct Delete {
    /// Its name or id
    generator: Reference,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    connection: Connection,
}

impl Generator {
    pub async fn run(self) -> anyhow::Result<()> {
        match self.registry {
            Registry::Create(create) => create.run().await,
            Registry::List(list) => list.run().await,
            Registry::Get(get) => get.run().await,
            Registry::Delete(delete) => delete.run().await,
        }
    }
}

impl Create {
    async fn run(self) -> anyhow::Result<()> {
        let place = self.new_key.place()?;
        let create = CreateGenerator {
            name: self.name,
            scope: GeneratorScope::AllAgents,
        };
        let client = self.connection.client()?;
        let created = client.create_generator(&create).await?;
        say(&format!("Registered generator {}.", created.generator.name));
        self.new_key
            .hand_over(place, &created.pak, &created.generator, &created)
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        self.output.list(&client.generators().await?)
    }
}

impl Get {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        self.output.one(&client.generator(&self.generator).await?)
    }
}

impl Delete {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let name = client.generator(&self.generator).await?.name;
        self.confirmation
            .ask(&format!("Delete generator {name}? Its key dies with it."))?;
        client.delete_generator(&self.generator).await?;
        say(&format!("Deleted generator {name}."));
        Ok(())
    }
}

impl Row for wire::Generator {
    fn name(&self) -> String {
        self.name.to_string()
    }

    fn cells(&self) -> Vec<Cell> {
        let scope = match self.scope {
            GeneratorScope::AllAgents => "all agents",
        };
        vec![
            Cell::text("NAME", &self.name),
            Cell::text("SCOPE", scope),
            Cell::time("CREATED", self.created_at),
            Cell::text("ID", self.id).wide(),
        ]
    }
}
