use anyhow::Context as _;
use brokkr_core::name::Reference;
use brokkr_core::wire::{PublishOptions, Rollback as Request, Stack};
use clap::Args;

use super::apply::describe;
use super::plan::Care;
use super::removal::Deletable;
use super::wait::Following;
use crate::connection::Connection;
use crate::output::Output;
use crate::terminal::say;

/// Publish an older content of a stack again
///
/// History only grows: the old content becomes the newest sequence. What the older content lacks is deleted from the
/// clusters, which is shown and asked first.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr rollback checkout --wait
  brokkr rollback checkout --dry-run
  brokkr rollback checkout --to 3 --message 'the new menu crashes'")]
pub struct Rollback {
    /// The stack's name or id
    stack: Reference,

    /// The sequence to go back to [default: the one before the newest]
    #[arg(long, value_name = "N")]
    to: Option<u64>,

    /// Why, for the history
    #[arg(long, short, value_name = "TEXT")]
    message: Option<String>,

    #[command(flatten)]
    deletable: Deletable,
    #[command(flatten)]
    care: Care,
    #[command(flatten)]
    wait: Following,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Rollback {
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let stack = client.stack(&self.stack).await?;
        let head = stack.head.as_ref().map_or(0, |head| head.sequence);
        let to = self.to.map_or_else(|| before(&stack, head), Ok)?;
        let request = Request {
            to,
            options: PublishOptions {
                message: self.message,
                // What was looked at is what is rolled back, even if somebody publishes meanwhile.
                expect_sequence: Some(head),
                allow_delete: self.deletable.kinds,
            },
        };
        let id = Reference::Id(stack.id.uuid());
        let plan = client.plan_rollback(&id, &request).await?;
        if !self.care.permits(&plan, &self.output)? {
            return Ok(());
        }
        let agreeing = client.agreeing_to(&plan);
        let published = agreeing.rollback(&id, &request).await?;
        say(&describe(&stack, &published));
        self.output.one(&published)?;
        let sequence = published.deployment_object.sequence;
        self.wait.follow(&client, &stack, sequence).await
    }
}

fn before(stack: &Stack, head: u64) -> anyhow::Result<u64> {
    head.checked_sub(1)
        .filter(|&sequence| sequence > 0)
        .with_context(|| {
            format!(
                "stack {} has nothing to go back to: {head} sequences were published",
                stack.name
            )
        })
}
