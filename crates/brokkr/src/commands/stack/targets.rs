use brokkr_core::name::Reference;
use brokkr_core::wire::AgentTarget;
use clap::Args;

use crate::connection::Connection;
use crate::output::Output;

/// Show which agents run which stacks, and why
///
/// `direct` is an agent that was named; otherwise the rule that matches it stands there. `ineligible` is one
/// that no longer reports the facts that the rule asks for: it keeps what it has.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr stack targets checkout
  brokkr stack targets --agent eu-1")]
pub struct Targets {
    /// Of this stack only: its name or id
    stack: Option<Reference>,

    /// Of this agent only: its name or id
    #[arg(long)]
    agent: Option<Reference>,

    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Targets {
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let targets = client.agent_targets(self.stack.as_ref(), self.agent.as_ref());
        let mut targets = targets.await?;
        targets.sort_by(|a, b| {
            let place = |target: &AgentTarget| {
                (
                    target.generator.clone(),
                    target.stack_name.clone(),
                    target.agent_name.clone(),
                )
            };
            place(a).cmp(&place(b))
        });
        self.output.list(&targets)
    }
}
