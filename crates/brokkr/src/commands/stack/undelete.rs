use brokkr_core::id::StackId;
use clap::Args;

use crate::connection::Connection;
use crate::output::{Output, Row as _};
use crate::terminal::say;

/// Bring a deleted stack back, with its history, labels, options and rules
///
/// Its rules reach agents again. Agents that were named for it run it again if they have not confirmed its removal
/// yet; name the others anew. If another stack has its name by now, that one has to go first.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr stack list --deleted
  brokkr stack undelete 01890a5d-ac96-774b-bcce-b302099a8057")]
pub struct Undelete {
    /// Its id, which `brokkr stack list --deleted` shows
    id: StackId,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Undelete {
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let stack = client.undelete_stack(self.id).await?;
        say(&format!(
            "Stack {0} is there. `brokkr stack targets {0}` shows which agents run it; to those that were named and have removed it already, name it again: `brokkr stack target {0} --agent AGENT`.",
            stack.name()
        ));
        self.output.one(&stack)
    }
}
