use brokkr_core::ServiceAccount;
use brokkr_core::name::Name;
use brokkr_core::wire::{CreateStack, StackOptions};
use clap::Args;

use super::options::{Adopt, Drift, OnRemove};
use crate::commands::traits::GivenTraits;
use crate::connection::Connection;
use crate::output::Output;
use crate::terminal::say;

/// Create a stack
#[derive(Args)]
#[command(after_help = "Example:
  brokkr stack create checkout --default-namespace checkout --create-namespace
  brokkr stack create search --label env=prod --annotation owner=payments
  brokkr stack create old-shop --adopt if-identical
  brokkr stack create shop --default-namespace shop --service-account deployers/shop")]
pub struct Create {
    /// Its name, unique among your stacks
    name: Name,

    /// The namespace of objects that name none
    #[arg(long, value_name = "NAME")]
    default_namespace: Option<String>,

    /// Let agents create that namespace if it is missing; they never delete it
    #[arg(long = "create-namespace", requires = "default_namespace")]
    make_namespace: bool,

    /// What happens to the objects when the stack is removed from a cluster
    #[arg(long, value_name = "POLICY", default_value = "delete")]
    on_remove: OnRemove,

    /// What becomes of objects that exist already, as somebody else's; another stack's are never taken
    #[arg(long, value_name = "MODE", default_value = "never")]
    adopt: Adopt,

    /// What becomes of what others change or delete
    #[arg(long, value_name = "MODE", default_value = "repair")]
    drift: Drift,

    /// The service account by whose rights agents act for it, and by no others; only an admin sets it
    #[arg(long, value_name = "NAMESPACE/NAME")]
    service_account: Option<ServiceAccount>,

    #[command(flatten)]
    traits: GivenTraits,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Create {
    pub async fn run(self) -> anyhow::Result<()> {
        let create = CreateStack {
            labels: self.traits.labels()?,
            annotations: self.traits.annotations()?,
            options: StackOptions {
                default_namespace: self.default_namespace,
                create_namespace: self.make_namespace,
                on_remove: self.on_remove.into(),
                adopt: self.adopt.into(),
                drift: self.drift.into(),
                service_account: self.service_account,
                ..StackOptions::default()
            },
            ..CreateStack::named(self.name)
        };
        let stack = self.connection.client()?.create_stack(&create).await?;
        say(&format!("Created stack {}.", stack.name));
        self.output.one(&stack)
    }
}
