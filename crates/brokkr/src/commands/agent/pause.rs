use brokkr_core::name::Reference;
use brokkr_core::wire::{Agent, PatchAgent};
use clap::Args;

use crate::connection::Connection;
use crate::terminal::say;

/// Let an agent change nothing in its cluster until it is resumed
///
/// It goes on looking: `brokkr status` says what differs. What is published meanwhile waits, and so do removals.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr agent pause eu-1
  brokkr settings set --paused true      all agents")]
pub struct Pause {
    #[command(flatten)]
    which: Which,
}

/// Let a paused agent go on
#[derive(Args)]
#[command(after_help = "Example:
  brokkr agent resume eu-1")]
pub struct Resume {
    #[command(flatten)]
    which: Which,
}

#[derive(Args)]
struct Which {
    /// Its name or id
    agent: Reference,
    #[command(flatten)]
    connection: Connection,
}

impl Pause {
    pub async fn run(self) -> anyhow::Result<()> {
        let agent = self.which.set(true).await?;
        say(&format!(
            "Paused agent {0}. `brokkr agent resume {0}` lets it go on.",
            agent.name
        ));
        Ok(())
    }
}

impl Resume {
    pub async fn run(self) -> anyhow::Result<()> {
        let agent = self.which.set(false).await?;
        say(&format!("Resumed agent {}.", agent.name));
        Ok(())
    }
}

impl Which {
    async fn set(&self, paused: bool) -> anyhow::Result<Agent> {
        let patch = PatchAgent {
            paused: Some(paused),
            ..PatchAgent::default()
        };
        let client = self.connection.client()?;
        Ok(client.patch_agent(&self.agent, &patch).await?)
    }
}
