use brokkr_core::name::Reference;
use brokkr_core::wire::{LossCause, OnRemove, Removal};
use clap::{Args, Subcommand};

use crate::connection::Connection;
use crate::output::{Cell, Output, Row};
use crate::terminal::say;

mod decide;
mod way_on;

/// Show what agents have to take out of their clusters, and decide about what they hold
///
/// An agent that would lose too much at once holds the loss until somebody approves or refuses it.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr removals list --agent eu-1
  brokkr removals approve --stack checkout")]
pub struct Removals {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    List(List),
    Approve(decide::Approve),
    Refuse(decide::Refuse),
}

/// Show removals that agents have not confirmed yet, and losses that they hold
#[derive(Args)]
#[command(after_help = "Example:
  brokkr removals list --stack checkout
  brokkr removals list -o wide   # with ids, and the first objects that are held")]
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
            Action::Approve(approve) => approve.run().await,
            Action::Refuse(refuse) => refuse.run().await,
        }
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let removals = client
            .removals(self.stack.as_ref(), self.agent.as_ref())
            .await?;
        self.output.list(&removals)?;
        if !self.output.is_structured()
            && let Some(told) = way_on::told(&removals)
        {
            say(&told);
        }
        Ok(())
    }
}

/// What takes the objects away.
fn cause(removal: &Removal) -> String {
    match removal.held.as_ref().map(|held| held.cause) {
        Some(LossCause::Snapshot(sequence)) => format!("sequence {sequence} has less"),
        Some(LossCause::Removal(_)) | None => "removal".to_owned(),
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
        let held = self.held.as_ref();
        let share = held.map(|held| format!("{} of {} objects", held.count, held.owned));
        let first = held.map(|held| {
            let names: Vec<String> = held.first.iter().map(ToString::to_string).collect();
            names.join(", ")
        });
        vec![
            Cell::text("AGENT", &self.agent_name),
            Cell::text(
                "STACK",
                Reference::of(self.generator.as_ref(), &self.stack_name),
            ),
            Cell::text("CAUSE", cause(self)),
            Cell::text("OBJECTS", objects),
            Cell::text("ALSO-DELETED", kinds.join(",")),
            Cell::optional("HELD", share),
            Cell::optional("APPROVED", self.approved.as_ref().map(|it| &it.by)),
            Cell::time("SINCE", self.since),
            Cell::optional("FIRST", first).wide(),
            Cell::text("ID", self.id).wide(),
        ]
    }
}
