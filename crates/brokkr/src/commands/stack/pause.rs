use brokkr_core::name::Reference;
use brokkr_core::wire::{PatchStack, PatchStackOptions, Stack};
use clap::Args;

use crate::connection::Connection;
use crate::output::Row as _;
use crate::terminal::say;

/// Let agents change nothing of a stack until it is resumed
///
/// They go on looking: `brokkr status STACK` says what differs. What is published meanwhile waits, and so do removals.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr stack pause checkout
  brokkr stack pause ci:checkout")]
pub struct Pause {
    #[command(flatten)]
    which: Which,
}

/// Let agents go on with a paused stack
#[derive(Args)]
#[command(after_help = "Example:
  brokkr stack resume checkout")]
pub struct Resume {
    #[command(flatten)]
    which: Which,
}

#[derive(Args)]
struct Which {
    /// Its name or id; an admin writes a generator's stack as GENERATOR:NAME
    stack: Reference,
    #[command(flatten)]
    connection: Connection,
}

impl Pause {
    pub async fn run(self) -> anyhow::Result<()> {
        let name = self.which.set(true).await?.name();
        say(&format!(
            "Paused stack {name}. `brokkr stack resume {name}` lets its agents go on."
        ));
        Ok(())
    }
}

impl Resume {
    pub async fn run(self) -> anyhow::Result<()> {
        let stack = self.which.set(false).await?;
        say(&format!("Resumed stack {}.", stack.name()));
        Ok(())
    }
}

impl Which {
    async fn set(&self, paused: bool) -> anyhow::Result<Stack> {
        let patch = PatchStack {
            options: PatchStackOptions {
                paused: Some(paused),
                ..PatchStackOptions::default()
            },
            ..PatchStack::default()
        };
        let client = self.connection.client()?;
        Ok(client.patch_stack(&self.stack, &patch).await?)
    }
}
