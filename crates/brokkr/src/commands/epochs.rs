use brokkr_core::Epoch;
use brokkr_core::wire;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde::Serialize;

use crate::connection::Connection;
use crate::output::{Cell, Output, Row};
use crate::terminal::{Confirmation, say};

/// Show which history the broker's database is, or let it continue another one
///
/// An agent follows one history. When the broker's database was replaced, its agents hold what they run, and
/// their status names the history that they hold on to. A database that was restored from a backup is found out by what
/// its agents were told: the broker begins a new history, and the one before waits here to be accepted.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Example:
  brokkr epochs
  brokkr epochs accept 01890a5d-ac96-774b-bcce-b302099a8057")]
pub struct Epochs {
    #[command(subcommand)]
    change: Option<Change>,

    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Subcommand)]
enum Change {
    Accept(Accept),
}

/// Declare that this broker is the right one for agents that hold on to another history
///
/// They take its word from then on: what it says newly runs, what it says less is removed only where it has a
/// removal for it, or a version of a stack that has less. Look at its stacks and targets first.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr epochs accept 01890a5d-ac96-774b-bcce-b302099a8057 --yes")]
struct Accept {
    /// The history that the agents hold on to, as their status names it
    epoch: Epoch,

    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Epochs {
    pub async fn run(self) -> anyhow::Result<()> {
        match self.change {
            Some(Change::Accept(accept)) => accept.run().await,
            None => {
                let epochs = self.connection.client()?.epochs().await?;
                show(&epochs, &self.output)?;
                for waiting in epochs.waiting() {
                    say(&format!(
                        "Agent {} was told of revision {} of history {}, which this database does not have: it was restored, or took over while it was behind. Look at what the broker has now (`brokkr stack list`, `brokkr history STACK`), publish again what is missing, then let the agents follow: brokkr epochs accept {}",
                        named(waiting),
                        waiting.told,
                        waiting.epoch,
                        waiting.epoch
                    ));
                }
                Ok(())
            }
        }
    }
}

impl Accept {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        self.confirmation.ask(&format!(
            "Let the agents that hold on to history {} follow the broker at {}? They apply what it says, which may be older than what they run, and an older version of a stack drops what only the newer one had (`brokkr history STACK`).",
            self.epoch,
            client.server()
        ))?;
        let epochs = client.accept_epoch(self.epoch).await?;
        say("Accepted. `brokkr status` shows how the agents follow.");
        show(&epochs, &self.output)
    }
}

/// The agent that proved it, as commands take it.
fn named(lost: &wire::LostEpoch) -> String {
    let name = lost.agent_name.as_ref();
    name.map_or_else(|| lost.agent.to_string(), ToString::to_string)
}

fn show(epochs: &wire::Epochs, output: &Output) -> anyhow::Result<()> {
    output.rows(&rows(epochs), epochs)
}

/// A history, as people read it.
#[derive(Serialize)]
struct History {
    epoch: Epoch,
    is: &'static str,
    since: Option<Timestamp>,
}

fn rows(epochs: &wire::Epochs) -> Vec<History> {
    let own = History {
        epoch: epochs.current,
        is: "the broker's own",
        since: None,
    };
    let accepted = epochs.accepted.iter().map(|accepted| History {
        epoch: accepted.epoch,
        is: "continued",
        since: Some(accepted.accepted_at),
    });
    let lost = epochs.waiting().map(|lost| History {
        epoch: lost.epoch,
        is: "lost in part: its agents hold what they run",
        since: Some(lost.lost_at),
    });
    std::iter::once(own).chain(accepted).chain(lost).collect()
}

impl Row for History {
    fn name(&self) -> String {
        self.epoch.to_string()
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text("EPOCH", self.epoch),
            Cell::text("IS", self.is),
            Cell::time("SINCE", self.since),
        ]
    }
}
