use anyhow::{Context as _, bail};
use brokkr_client::Client;
use brokkr_core::name::Reference;
use brokkr_core::wire::AgentTarget;
use clap::Args;

use crate::commands::plan::Care;
use crate::commands::removal::Leaving;
use crate::connection::Connection;
use crate::output::Output;
use crate::terminal::say;

/// End agents' responsibility for a stack: they take it out of their clusters
///
/// This takes back what `brokkr stack target` said. An agent that a rule of the stack reaches as well keeps it.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr stack untarget checkout --agent eu-2
  brokkr stack untarget checkout --agent eu-2 --dry-run")]
pub struct Untarget {
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
    leaving: Leaving,
    #[command(flatten)]
    care: Care,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Untarget {
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let stack = client.stack(&self.stack).await?;
        let targets = self.targets(&client).await?;
        let (policy, kinds) = (self.leaving.policy(), &self.leaving.deletable.kinds);
        let mut plans = Vec::new();
        for target in &targets {
            plans.push(
                client
                    .plan_delete_agent_target(target.id, policy, kinds)
                    .await?,
            );
        }
        let mut is_over = false;
        for plan in &plans {
            is_over |= self.care.ends_with(plan, &self.output)?;
        }
        if is_over {
            return Ok(());
        }
        let leaving = targets.iter().filter(|target| target.rule.is_none());
        let leaving: Vec<_> = leaving.map(|target| target.agent_name.as_str()).collect();
        if !leaving.is_empty() {
            self.care.ask(&format!(
                "Take stack {} from {}? If so, {}.",
                stack.name,
                leaving.join(", "),
                self.leaving.consequence(stack.options.on_remove)
            ))?;
        }
        for (target, plan) in targets.iter().zip(&plans) {
            let agreeing = client.agreeing_to(plan);
            agreeing
                .delete_agent_target(target.id, policy, kinds)
                .await?;
            let (agent, stack) = (&target.agent_name, &stack.name);
            say(&match &target.rule {
                Some(rule) => {
                    format!("Agent {agent} keeps stack {stack}: a rule matches it: {rule}")
                }
                None => format!(
                    "Agent {agent} will take stack {stack} out of its cluster; `brokkr removals list` shows it until then."
                ),
            });
        }
        Ok(())
    }

    /// All of them, before the first one ends: a name that is wrong changes nothing.
    async fn targets(&self, client: &Client) -> anyhow::Result<Vec<AgentTarget>> {
        let mut targets = Vec::new();
        for agent in &self.agents {
            let found = client.agent_targets(Some(&self.stack), Some(agent)).await?;
            let target = found.into_iter().next().with_context(|| {
                format!(
                    "agent {agent} is not responsible for stack {0} — `brokkr status {0}` shows which are",
                    self.stack
                )
            })?;
            if let (false, Some(rule)) = (target.direct, &target.rule) {
                bail!(
                    "agent {} was not named for stack {}: a rule of the stack targets it, `{rule}` — change the rule or the agent's labels, or exclude the agent",
                    target.agent_name,
                    target.stack_name
                );
            }
            targets.push(target);
        }
        Ok(targets)
    }
}
