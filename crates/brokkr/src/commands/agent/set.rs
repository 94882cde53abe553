use brokkr_core::name::Reference;
use brokkr_core::wire::PatchAgent;
use clap::{ArgGroup, Args};

use crate::commands::plan::Care;
use crate::commands::traits::ChangedTraits;
use crate::connection::Connection;
use crate::output::Output;
use crate::terminal::say;

/// Change an agent's labels and annotations, and with them what it runs
#[derive(Args)]
#[command(group(ArgGroup::new("changes").required(true).multiple(true).args([
    "labels",
    "no_labels",
    "annotations",
    "no_annotations",
])))]
#[command(after_help = "Example:
  brokkr agent set eu-1 --label env=prod --remove-label canary --dry-run
  brokkr agent set eu-1 --annotation driver=535.104.05")]
pub struct Set {
    /// Its name or id
    agent: Reference,
    #[command(flatten)]
    traits: ChangedTraits,
    #[command(flatten)]
    care: Care,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Set {
    pub async fn run(self) -> anyhow::Result<()> {
        let patch = PatchAgent {
            labels: self.traits.labels()?,
            annotations: self.traits.annotations()?,
            paused: None,
        };
        let client = self.connection.client()?;
        let plan = client.plan_agent(&self.agent, &patch).await?;
        if !self.care.permits(&plan, &self.output)? {
            return Ok(());
        }
        let agreeing = client.agreeing_to(&plan);
        let agent = agreeing.patch_agent(&self.agent, &patch).await?;
        say(&format!("Changed agent {}.", agent.name));
        self.output.one(&agent)
    }
}
