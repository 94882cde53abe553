use brokkr_client::Client;
use brokkr_core::name::Reference;
use brokkr_core::wire::{AuditAction, ChainedEntry};
use clap::Args;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error as ValueError;
use uuid::Uuid;

use crate::connection::Connection;
use crate::output::{Cell, Output, Row};

/// Show who changed what, newest first
///
/// `-o yaml` has all of an entry: what was before and is after, the key, the request and the hash.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr audit --stack checkout
  brokkr audit --action key_revoke --limit 5 -o yaml")]
pub struct Audit {
    /// Only about this stack
    #[arg(long, value_name = "STACK", conflicts_with_all = ["agent", "generator", "subject"])]
    stack: Option<Reference>,

    /// Only about this agent
    #[arg(long, value_name = "AGENT", conflicts_with_all = ["generator", "subject"])]
    agent: Option<Reference>,

    /// Only about this generator
    #[arg(long, value_name = "GENERATOR", conflicts_with = "subject")]
    generator: Option<Reference>,

    /// Only about the thing with this id, which may be deleted
    #[arg(long, value_name = "ID")]
    subject: Option<Uuid>,

    /// Only by the agent or generator with this id
    #[arg(long, value_name = "ID")]
    actor: Option<Uuid>,

    /// Only of this kind, such as `stack_publish`
    #[arg(long, value_name = "ACTION", value_parser = action)]
    action: Option<AuditAction>,

    /// How many
    #[arg(long, value_name = "N", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: u16,

    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

fn action(text: &str) -> Result<AuditAction, ValueError> {
    AuditAction::deserialize(text.into_deserializer())
}

impl Audit {
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let mut filter = vec![("limit", self.limit.to_string())];
        if let Some(subject) = self.subject(&client).await? {
            filter.push(("subject", subject.to_string()));
        }
        filter.extend(self.actor.map(|actor| ("actor", actor.to_string())));
        filter.extend(self.action.map(|action| ("action", action.to_string())));
        self.output.list(&client.newest_audit(&filter).await?)
    }

    async fn subject(&self, client: &Client) -> anyhow::Result<Option<Uuid>> {
        Ok(match (&self.stack, &self.agent, &self.generator) {
            (Some(stack), ..) => Some(client.stack(stack).await?.id.uuid()),
            (_, Some(agent), _) => Some(client.agent(agent).await?.id.uuid()),
            (.., Some(generator)) => Some(client.generator(generator).await?.id.uuid()),
            _ => self.subject,
        })
    }
}

impl Row for ChainedEntry {
    fn name(&self) -> String {
        self.entry.revision.to_string()
    }

    fn cells(&self) -> Vec<Cell> {
        let entry = &self.entry;
        let subject = entry.subject.name.clone();
        let subject = subject.unwrap_or_else(|| entry.subject.id.to_string());
        vec![
            Cell::time("WHEN", entry.at),
            Cell::text("REVISION", entry.revision),
            Cell::text("BY", entry.actor.role),
            Cell::text("ACTION", entry.action),
            Cell::text("SUBJECT", subject),
            Cell::text("TARGETS", targets(entry.reached, entry.left)),
            Cell::optional("ADDRESS", entry.actor.address),
            Cell::optional("KEY", entry.actor.key).wide(),
            Cell::optional("REQUEST", entry.actor.request_id.as_ref()).wide(),
        ]
    }
}

/// Such as `+2 -1`: agent targets that began and ended.
fn targets(reached: u64, left: u64) -> String {
    match (reached, left) {
        (0, 0) => "-".to_owned(),
        (reached, 0) => format!("+{reached}"),
        (0, left) => format!("-{left}"),
        (reached, left) => format!("+{reached} -{left}"),
    }
}
