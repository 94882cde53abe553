use brokkr_core::ServiceAccount;
use brokkr_core::name::{Name, Reference};
use brokkr_core::wire::{self, CreateGenerator};
use clap::{ArgGroup, Args, Subcommand};

use super::new_key::NewKey;
use crate::connection::Connection;
use crate::failure::Usage;
use crate::output::{Cell, Output, Row};
use crate::terminal::{Confirmation, say};

mod limits;
mod set;

use limits::{Limits, Reach};

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
    Set(set::Set),
    Delete(Delete),
}

/// Register a generator and show its key, this once
///
/// The key goes to stdout and everything else to stderr, so that it can be sent into a file or a secret store.
#[derive(Args)]
#[command(group(ArgGroup::new("reach").required(true).multiple(true).args([
    "all_agents",
    "scope",
    "scope_annotations",
])))]
#[command(after_help = "Example:
  brokkr generator create ci --all-agents --key-file ci.key
  brokkr generator create ci --scope 'env in (dev,test)' --max-stacks 50 --key-file ci.key
  brokkr generator create ci --scope env=dev --service-account deployers/ci --key-file ci.key")]
struct Create {
    /// The generator's name, such as its pipeline's
    name: Name,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    limits: Limits,

    /// The service account by whose rights agents act for its stacks, and by no others; without one, by their own
    #[arg(long, value_name = "NAMESPACE/NAME")]
    service_account: Option<ServiceAccount>,

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
            Registry::Set(set) => set.run().await,
            Registry::Delete(delete) => delete.run().await,
        }
    }
}

impl Create {
    async fn run(self) -> anyhow::Result<()> {
        let scope = self.reach.scope()?;
        let create = CreateGenerator {
            name: self.name,
            scope: scope.ok_or_else(|| Usage("say which agents it may reach".to_owned()))?,
            quota: self.limits.quota(),
            service_account: self.service_account,
        };
        let place = self.new_key.place()?;
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
        vec![
            Cell::text("NAME", &self.name),
            Cell::text("SCOPE", &self.scope),
            Cell::time("CREATED", self.created_at),
            Cell::optional("ACCOUNT", self.service_account.as_ref()).wide(),
            Cell::text("MAX-STACKS", self.quota.stacks).wide(),
            Cell::text("MAX-BYTES", self.quota.bytes).wide(),
            Cell::text("MAX-PUBLISHES", self.quota.publishes_per_minute).wide(),
            Cell::text("ID", self.id).wide(),
        ]
    }
}
