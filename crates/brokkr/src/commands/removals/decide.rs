use anyhow::bail;
use brokkr_client::Client;
use brokkr_core::id::AgentTargetId;
use brokkr_core::name::Reference;
use brokkr_core::wire::Removal;
use clap::Args;

use super::cause;
use crate::connection::Connection;
use crate::terminal::{Confirmation, say};

/// Which losses to decide about.
#[derive(Args)]
struct Which {
    /// Ids of removals or held losses, as `brokkr removals list -o wide` shows them
    #[arg(
        value_name = "ID",
        required_unless_present = "stack",
        conflicts_with = "stack"
    )]
    ids: Vec<AgentTargetId>,

    /// All that agents hold of this stack
    #[arg(long, value_name = "STACK")]
    stack: Option<Reference>,

    /// Of that, only what this agent holds
    #[arg(long, value_name = "AGENT", requires = "stack")]
    agent: Option<Reference>,
}

/// Let agents delete what they hold
///
/// It is shown and asked first. Of a snapshot that has less, just the objects that are held now may go.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr removals approve --stack checkout --agent eu-1
  brokkr removals approve 01890a5d-ac96-774b-bcce-b302099a8057 --yes")]
pub struct Approve {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    connection: Connection,
}

/// Keep the objects that agents hold: they stay in the clusters, as nobody's
#[derive(Args)]
#[command(after_help = "Example:
  brokkr removals refuse --stack checkout
  brokkr removals refuse 01890a5d-ac96-774b-bcce-b302099a8057")]
pub struct Refuse {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    connection: Connection,
}

impl Approve {
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let losses = self.which.losses(&client).await?;
        let lines: Vec<String> = losses.iter().map(describe).collect();
        self.confirmation.ask(&format!(
            "Approve that this is deleted?\n  {}\nGo on?",
            lines.join("\n  ")
        ))?;
        for loss in &losses {
            client.approve_removal(loss.id, loss.held.as_ref()).await?;
            say(&format!("Approved: {}", describe(loss)));
        }
        Ok(())
    }
}

impl Refuse {
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        for loss in self.which.losses(&client).await? {
            client.refuse_removal(loss.id, loss.held.as_ref()).await?;
            say(&format!("Refused, the objects stay: {}", describe(&loss)));
        }
        Ok(())
    }
}

impl Which {
    /// All of them, before the first one is decided about: an id that is wrong changes nothing.
    async fn losses(&self, client: &Client) -> anyhow::Result<Vec<Removal>> {
        let all = client
            .removals(self.stack.as_ref(), self.agent.as_ref())
            .await?;
        if let Some(stack) = &self.stack {
            let held: Vec<_> = all.into_iter().filter(|loss| loss.held.is_some()).collect();
            if held.is_empty() {
                bail!(
                    "no agent holds anything of stack {stack} — `brokkr removals list` shows what is held"
                );
            }
            return Ok(held);
        }
        let missing = |id: &&AgentTargetId| !all.iter().any(|loss| loss.id == **id);
        if let Some(missing) = self.ids.iter().find(missing) {
            bail!(
                "there is no open removal and no held loss {missing} — `brokkr removals list -o wide` shows their ids"
            );
        }
        let is_named = |loss: &Removal| self.ids.contains(&loss.id);
        Ok(all.into_iter().filter(is_named).collect())
    }
}

/// How many names a line holds that a person still reads.
const READABLE: usize = 5;

fn describe(loss: &Removal) -> String {
    let stack = Reference::of(loss.generator.as_ref(), &loss.stack_name);
    let place = format!("{stack} at {}, {}", loss.agent_name, cause(loss));
    let Some(held) = &loss.held else {
        return place;
    };
    let first = held.first.iter().take(READABLE);
    let mut names: Vec<String> = first.map(ToString::to_string).collect();
    match held.count.saturating_sub(names.len() as u64) {
        0 => {}
        more => names.push(format!("and {more} more")),
    }
    format!("{place}: {} object(s): {}", held.count, names.join(", "))
}
