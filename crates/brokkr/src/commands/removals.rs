use brokkr_core::name::Reference;
use brokkr_core::wire::{OnRemove, Removal};
use clap::{Args, Subcommand};

use crate::connection::Connection;
use crate::output::{Cell, Output, Row};

/// Show what agents still have to take out of their clusters
#[derive(Args)]
#[command(after_help = "Example:
  brokkr removals list --agent eu-1")]
pub struct Removals {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    List(List),
}

/// Show removals that agents have not confirmed yet
#[derive(Args)]
#[command(after_help = "Example:
  brokkr removals list --stack checkout")]
struct List {
    /// Only of this stack
    #[arg(long, value_name = "STACK")]
    stack: Option<Reference>,

    /// Only of this agent
    #[arg(long, value_name = "AGENT")]
    agent: Option<Reference>,

    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Removals {
    pub async fn run(self) -> anyhow::Result<()> {
        match self.action {
            Action::List(list) => list.run().await,
        }
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let removals = client
            .removals(self.stack.as_ref(), self.agent.as_ref())
            .await?;
        self.output.list(&removals)
    }
}

impl Row for Removal {
    fn name(&self) -> String {
        self.id.to_string()
    }

    fn cells(&self) -> Vec<Cell> {
        let objects = match self.policy {
            OnRemove::Delete => "deleted",
            OnRemove::Orphan => "left alone",
        };
        let kinds: Vec<String> = self.allow_delete.iter().map(ToString::to_string).collect();
        vec![
            Cell::text("AGENT", &self.agent_name),
            Cell::text(
                "STACK",
                Reference::of(self.generator.as_ref(), &self.stack_name),
            ),
            Cell::text("OBJECTS", objects),
            Cell::text("ALSO-DELETED", kinds.join(",")),
            Cell::time("SINCE", self.since),
            Cell::text("ID", self.id).wide(),
        ]
    }
}
