use brokkr_core::ServiceAccount;
use brokkr_core::name::Reference;
use brokkr_core::wire::PatchGenerator;
use clap::{ArgGroup, Args};

use super::limits::{Limits, Reach};
use crate::commands::plan::Care;
use crate::connection::Connection;
use crate::output::Output;
use crate::terminal::say;

/// Change which agents a generator's stacks may reach, how much it may have, and as whom agents act for it
///
/// A new scope replaces the one before as a whole. Agents that it leaves out are told to remove the
/// generator's stacks. Another service account is tried on all objects of its stacks, which stay as they are if it
/// lacks a right.
#[derive(Args)]
#[command(group(ArgGroup::new("changes").required(true).multiple(true).args([
    "all_agents",
    "scope",
    "scope_annotations",
    "stacks",
    "bytes",
    "publishes_per_minute",
    "service_account",
    "no_service_account",
])))]
#[command(after_help = "Example:
  brokkr generator set ci --scope 'env in (dev,test)' --dry-run
  brokkr generator set ci --max-stacks 50
  brokkr generator set ci --service-account deployers/ci")]
pub struct Set {
    /// Its name or id
    generator: Reference,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    limits: Limits,

    /// The service account by whose rights agents act for its stacks, and by no others
    #[arg(long, value_name = "NAMESPACE/NAME")]
    service_account: Option<ServiceAccount>,

    /// Let agents act for its stacks by their own rights
    #[arg(long, conflicts_with = "service_account")]
    no_service_account: bool,

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
        let cleared = self.no_service_account.then_some(None);
        let patch = PatchGenerator {
            scope,
            quota: Some(self.limits.quota()),
            service_account: self.service_account.map(Some).or(cleared),
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
