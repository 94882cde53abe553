//! Waiting until agents are where they should be, for people who watch and pipelines that must know.

use std::time::Duration;

use anyhow::{Context as _, bail};
use brokkr_client::Client;
use brokkr_core::name::Reference;
use brokkr_core::wire::Stack;
use clap::Args;

use crate::connection::Connection;
use crate::duration;

mod aim;
mod follow;
mod verdict;

use aim::{Aim, Goal, Share};
use follow::follow;

/// Wait until agents have a stack's newest sequence, or run it well
///
/// Ends with 0 as soon as it is so, and with 124 when the time is over. It ends with 1 when it will not be so before somebody does
/// something: too many agents cannot apply it for 15 seconds or run it badly for two minutes, hold it or are paused; a newer
/// sequence was published meanwhile; or no agent is responsible.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr wait --stack checkout
  brokkr wait --stack checkout --for synced --timeout 30s
  brokkr wait --stack checkout --agents 95% --timeout 30m")]
pub struct Wait {
    /// The stack's name or id
    #[arg(long)]
    stack: Reference,

    /// What to wait for
    #[arg(long = "for", value_name = "WHAT", value_enum, default_value_t)]
    goal: Goal,

    /// How many of its agents are enough: a number, or a share such as 95% [default: all of them]
    #[arg(long, value_name = "SHARE")]
    agents: Option<Share>,

    /// The sequence to wait for [default: the newest]
    #[arg(long, value_name = "N")]
    sequence: Option<u64>,

    #[command(flatten)]
    timeout: Timeout,
    #[command(flatten)]
    connection: Connection,
}

/// Whether a command waits for what it has published.
#[derive(Args)]
pub struct Following {
    /// Wait until every agent has applied it and it runs well
    #[arg(long)]
    wait: bool,

    #[command(flatten)]
    timeout: Timeout,
}

#[derive(Args)]
struct Timeout {
    /// For how long to wait
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration::parse)]
    timeout: Duration,
}

impl Wait {
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let stack = client.stack(&self.stack).await?;
        let head = stack.head.as_ref().map(|head| head.sequence);
        let sequence = self.sequence.or(head).with_context(|| {
            format!(
                "nothing was published to stack {0} yet — `brokkr apply -f FILE --stack {0}` does",
                self.stack
            )
        })?;
        if let Some(newest) = head.filter(|newest| sequence > *newest) {
            bail!(
                "stack {0} has no sequence {sequence}: the newest is {newest} — `brokkr history {0}` lists them",
                self.stack
            );
        }
        let aim = Aim {
            sequence,
            goal: self.goal,
            share: self.agents.unwrap_or_default(),
        };
        follow(&client, &stack, &aim, self.timeout.timeout).await
    }
}

impl Following {
    /// Waits, if that was asked for, until `sequence` runs well everywhere.
    pub async fn follow(
        &self,
        client: &Client,
        stack: &Stack,
        sequence: u64,
    ) -> anyhow::Result<()> {
        if !self.wait {
            return Ok(());
        }
        follow(
            client,
            stack,
            &Aim::everywhere(sequence),
            self.timeout.timeout,
        )
        .await
    }
}
