use brokkr_core::name::Reference;
use brokkr_core::wire::PatchGenerator;
use clap::{ArgGroup, Args};

use super::limits::{Limits, Reach};
use crate::commands::plan::Care;
use crate::connection::Connection;
use crate::output::Output;
use crate::terminal::say;

/// Change which agents a generator's stacks may reach, and how much it may have
///
/// A new scope replaces the one before as a whole. Agents that it leaves out are told to remove the
/// generator's stacks.
#[derive(Args)]
#[command(group(ArgGroup::new("changes").required(true).multiple(true).args([
    "all_agents",
    "scope",
    "scope_annotations",
    "stacks",
    "bytes",
    "publishes_per_minute",
])))]
#[command(after_help = "Example:
  brokkr generator set ci --scope 'env in (dev,test)' --dry-run
  brokkr generator set ci --max-stacks 50")]
pub struct Set {
    /// Its name or id
    generator: Reference,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    care: Care,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Set {
    pub async fn run(self) -> anyhow::Result<()> {
        let scope = self.reach.scope()?;
        let client = self.connection.client()?;
        let patch = PatchGenerator {
            scope,
            quota: Some(self.limits.quota()),
        };
        let plan = client.plan_generator(&self.generator, &patch).await?;
        if !self.care.permits(&plan, &self.output)? {
            return Ok(());
        }
        let agreeing = client.agreeing_to(&plan);
        let generator = agreeing.patch_generator(&self.generator, &patch).await?;
        say(&format!("Changed generator {}.", generator.name));
        self.output.one(&generator)
    }
}
