use brokkr_core::ServiceAccount;
use brokkr_core::name::Reference;
use brokkr_core::wire::{PatchStack, PatchStackOptions};
use clap::{ArgGroup, Args};

use super::options::{Adopt, Drift, OnRemove};
use crate::commands::plan::Care;
use crate::commands::traits::ChangedTraits;
use crate::connection::Connection;
use crate::output::Output;
use crate::terminal::say;

/// Change a stack's labels, annotations and options
#[derive(Args)]
#[command(group(ArgGroup::new("changes").required(true).multiple(true).args([
    "labels",
    "no_labels",
    "annotations",
    "no_annotations",
    "default_namespace",
    "no_default_namespace",
    "create_namespace",
    "on_remove",
    "adopt",
    "drift",
    "ignore_windows",
    "service_account",
    "no_service_account",
])))]
#[command(after_help = "Example:
  brokkr stack set checkout --label env=prod --remove-label canary --dry-run
  brokkr stack set checkout --on-remove orphan
  brokkr stack set checkout --adopt if-identical
  brokkr stack set checkout --drift report
  brokkr stack set checkout --create-namespace=false
  brokkr stack set ci:shop --service-account deployers/shop")]
pub struct Set {
    /// Its name or id
    stack: Reference,

    /// The namespace of objects that name none, for the next publish
    #[arg(long, value_name = "NAME")]
    default_namespace: Option<String>,

    /// Have no default namespace from the next publish on
    #[arg(long, conflicts_with = "default_namespace")]
    no_default_namespace: bool,

    /// Whether agents create the default namespace if it is missing
    #[arg(long, value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    create_namespace: Option<bool>,

    /// What happens to the objects when the stack is removed from a cluster
    #[arg(long, value_name = "POLICY")]
    on_remove: Option<OnRemove>,

    /// What becomes of objects that exist already, as somebody else's; another stack's are never taken
    #[arg(long, value_name = "MODE")]
    adopt: Option<Adopt>,

    /// What becomes of what others change or delete, from now on
    #[arg(long, value_name = "MODE")]
    drift: Option<Drift>,

    /// Whether new versions wait for no maintenance window; only an admin sets it
    #[arg(long, value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    ignore_windows: Option<bool>,

    /// The service account by whose rights agents act for it, and by no others, instead of its generator's; only an admin
    /// sets it
    #[arg(long, value_name = "NAMESPACE/NAME")]
    service_account: Option<ServiceAccount>,

    /// Let agents act for it as they do for its generator, or by their own rights
    #[arg(long, conflicts_with = "service_account")]
    no_service_account: bool,

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
        let cleared = self.no_default_namespace.then_some(None);
        let no_account = self.no_service_account.then_some(None);
        let patch = PatchStack {
            labels: self.traits.labels()?,
            annotations: self.traits.annotations()?,
            options: PatchStackOptions {
                default_namespace: self.default_namespace.map(Some).or(cleared),
                create_namespace: self.create_namespace,
                on_remove: self.on_remove.map(Into::into),
                adopt: self.adopt.map(Into::into),
                drift: self.drift.map(Into::into),
                paused: None,
                ignore_windows: self.ignore_windows,
                service_account: self.service_account.map(Some).or(no_account),
            },
            ..PatchStack::default()
        };
        let client = self.connection.client()?;
        let plan = client.plan_stack(&self.stack, &patch).await?;
        if !self.care.permits(&plan, &self.output)? {
            return Ok(());
        }
        let agreeing = client.agreeing_to(&plan);
        let stack = agreeing.patch_stack(&self.stack, &patch).await?;
        say(&format!("Changed stack {}.", stack.name));
        self.output.one(&stack)
    }
}
