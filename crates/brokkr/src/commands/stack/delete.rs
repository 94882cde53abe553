use brokkr_core::name::Reference;
use clap::Args;

use crate::commands::removal::Leaving;
use crate::connection::Connection;
use crate::terminal::{Confirmation, say};

/// Delete a stack: its agents take it out of their clusters
#[derive(Args)]
#[command(after_help = "Example:
  brokkr stack delete checkout
  brokkr stack delete checkout --orphan --yes")]
pub struct Delete {
    /// Its name or id
    stack: Reference,
    #[command(flatten)]
    leaving: Leaving,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    connection: Connection,
}

impl Delete {
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let stack = client.stack(&self.stack).await?;
        let targets = client.agent_targets(Some(&self.stack), None).await?;
        self.confirmation.ask(&format!(
            "Delete stack {}? {} agent(s) have it, and {}.",
            stack.name,
            targets.len(),
            self.leaving.consequence(stack.options.on_remove)
        ))?;
        let policy = self.leaving.policy();
        client
            .delete_stack(&self.stack, policy, &self.leaving.deletable.kinds)
            .await?;
        say(&format!(
            "Deleted stack {}. `brokkr removals list` shows which agents still have it.",
            stack.name
        ));
        Ok(())
    }
}
