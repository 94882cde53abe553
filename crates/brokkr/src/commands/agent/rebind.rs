use brokkr_core::name::Reference;
use clap::Args;

use crate::connection::Connection;
use crate::output::Output;
use crate::terminal::{Confirmation, say};

/// Let an agent act for another cluster from its next session on
///
/// The first session binds an agent to its cluster; its key is refused for every other one. After a cluster was rebuilt
/// under the same name, this lets the new one in. The present session ends: stop the agent of the old cluster first.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr agent rebind eu-1")]
pub struct Rebind {
    /// Its name or id
    agent: Reference,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Rebind {
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let agent = client.agent(&self.agent).await?;
        let name = &agent.name;
        self.confirmation.ask(&format!(
            "Rebind agent {name}? The next cluster that uses its key gets its stacks, so stop the agent of the old cluster first."
        ))?;
        let agent = client.rebind_agent(&Reference::Id(agent.id.uuid())).await?;
        say(&format!(
            "Agent {0} takes the cluster of its next session; `brokkr agent get {0} -o wide` shows which.",
            agent.name
        ));
        self.output.one(&agent)
    }
}
