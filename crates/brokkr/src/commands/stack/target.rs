use brokkr_core::name::Reference;
use brokkr_core::wire::{AgentTarget, CreateAgentTarget};
use clap::Args;

use crate::connection::Connection;
use crate::output::{Cell, Output, Row};
use crate::terminal::say;

/// Make agents responsible for a stack
#[derive(Args)]
#[command(after_help = "Example:
  brokkr stack target checkout --agent eu-1 --agent eu-2")]
pub struct Target {
    /// The stack's name or id
    stack: Reference,

    /// An agent's name or id; several may be given
    #[arg(
        long = "agent",
        value_name = "AGENT",
        required = true,
        value_delimiter = ','
    )]
    agents: Vec<Reference>,

    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Target {
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let mut targets = Vec::new();
        for agent in self.agents {
            let create = CreateAgentTarget {
                agent,
                stack: self.stack.clone(),
            };
            let target = client.create_agent_target(&create).await?;
            say(&format!(
                "Agent {} is responsible for stack {} now.",
                target.agent_name,
                Reference::of(target.generator.as_ref(), &target.stack_name)
            ));
            targets.push(target);
        }
        self.output.list(&targets)
    }
}

impl Row for AgentTarget {
    fn name(&self) -> String {
        self.id.to_string()
    }

    fn cells(&self) -> Vec<Cell> {
        let mut reasons = Vec::new();
        if self.direct {
            reasons.push("direct".to_owned());
        }
        reasons.extend(self.rule.clone());
        if self.ineligible {
            reasons.push("ineligible".to_owned());
        }
        vec![
            Cell::text("AGENT", &self.agent_name),
            Cell::text(
                "STACK",
                Reference::of(self.generator.as_ref(), &self.stack_name),
            ),
            Cell::text("WHY", reasons.join(" | ")),
            Cell::time("SINCE", self.created_at),
            Cell::text("ID", self.id).wide(),
        ]
    }
}
