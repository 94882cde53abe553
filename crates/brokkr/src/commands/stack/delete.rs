use brokkr_core::name::Reference;
use clap::Args;

use crate::commands::plan::{Care, leaving};
use crate::commands::removal::Leaving;
use crate::connection::Connection;
use crate::output::Output;
use crate::terminal::say;

/// Delete a stack: its agents take it out of their clusters
#[derive(Args)]
#[command(after_help = "Example:
  brokkr stack delete checkout
  brokkr stack delete checkout --dry-run
  brokkr stack delete checkout --orphan --yes")]
pub struct Delete {
    /// Its name or id
    stack: Reference,
    #[command(flatten)]
    leaving: Leaving,
    #[command(flatten)]
    care: Care,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Delete {
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let stack = client.stack(&self.stack).await?;
        let (policy, kinds) = (self.leaving.policy(), &self.leaving.deletable.kinds);
        let id = Reference::Id(stack.id.uuid());
        let plan = client.plan_delete_stack(&id, policy, kinds).await?;
        if self.care.ends_with(&plan, &self.output)? {
            return Ok(());
        }
        self.care.ask(&format!(
            "Delete stack {}? {}, and {}.",
            stack.name,
            match plan.left {
                0 => "No agent has it".to_owned(),
                count => {
                    let names = leaving(&plan, |target| target.agent_name.to_string());
                    format!("{count} agent(s) have it ({names})")
                }
            },
            self.leaving.consequence(stack.options.on_remove)
        ))?;
        let agreeing = client.agreeing_to(&plan);
        agreeing.delete_stack(&id, policy, kinds).await?;
        say(&format!(
            "Deleted stack {}. `brokkr removals list` shows which agents still have it, and `brokkr stack undelete {}` brings it back.",
            stack.name, stack.id
        ));
        Ok(())
    }
}
