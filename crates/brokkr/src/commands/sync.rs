use brokkr_core::name::Reference;
use brokkr_core::wire::{Ask, RequestAnswer};
use clap::Args;

use super::ask::{self, Answered, Patience};
use crate::connection::Connection;
use crate::failure::Usage;
use crate::output::{Cell, Output, Row};

/// Let agents compare with their clusters now, and try again at once what failed
///
/// An agent does both by itself, but what fails again and again is tried ever later. It ends when every agent has begun; `brokkr
/// wait` waits for what comes of it.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr sync --stack checkout
  brokkr sync --stack checkout --agent eu-1
  brokkr sync --agent eu-1                     everything that it runs")]
pub struct Sync {
    /// The stack's name or id [default: all stacks of the agent]
    #[arg(long, value_name = "STACK")]
    stack: Option<Reference>,

    /// The agent's name or id [default: all agents of the stack]
    #[arg(long, value_name = "AGENT")]
    agent: Option<Reference>,

    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Sync {
    pub async fn run(self) -> anyhow::Result<()> {
        if self.stack.is_none() && self.agent.is_none() {
            let words = "say what is to be compared, with --stack, --agent or both";
            return Err(Usage(words.to_owned()).into());
        }
        let client = self.connection.client()?;
        let agents = ask::agents(&client, self.agent.as_ref(), self.stack.as_ref()).await?;
        let ask = Ask::Sync { stack: self.stack };
        let answers = self.patience.ask(&client, agents, ask).await;
        let lines: Vec<_> = answers.iter().map(Line).collect();
        self.output.rows(&lines, &answers)?;
        ask::check(&answers)
    }
}

#[derive(serde::Serialize)]
#[serde(transparent)]
struct Line<'a>(&'a Answered);

impl Row for Line<'_> {
    fn name(&self) -> String {
        self.0.agent.to_string()
    }

    fn cells(&self) -> Vec<Cell> {
        let stacks = match &self.0.answer {
            Some(RequestAnswer::Sync { stacks }) => Some(*stacks),
            _ => None,
        };
        vec![
            Cell::text("AGENT", &self.0.agent),
            Cell::optional("STACKS", stacks),
            Cell::optional("FAILURE", self.0.failure.as_ref()).whole(),
        ]
    }
}
