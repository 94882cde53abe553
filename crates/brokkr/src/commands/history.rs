use brokkr_core::name::Reference;
use brokkr_core::wire::DeploymentObject;
use clap::Args;

use crate::connection::Connection;
use crate::output::{Cell, Output, Row};

/// Show what was published to a stack, newest first
#[derive(Args)]
#[command(after_help = "Example:
  brokkr history checkout")]
pub struct History {
    /// The stack's name or id
    stack: Reference,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl History {
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        self.output.list(&client.history(&self.stack).await?)
    }
}

impl Row for DeploymentObject {
    fn name(&self) -> String {
        self.sequence.to_string()
    }

    fn cells(&self) -> Vec<Cell> {
        let digest = self.digest.to_string();
        let short: String = digest.chars().take("sha256:".len() + 12).collect();
        vec![
            Cell::text("SEQUENCE", self.sequence),
            Cell::time("PUBLISHED", self.created_at),
            Cell::text("AUTHOR", &self.author),
            Cell::text("OBJECTS", self.objects),
            Cell::text("DIGEST", short).narrow(),
            Cell::text("DIGEST", digest).wide(),
            Cell::text("BYTES", self.size).wide(),
            Cell::optional("NAMESPACE", self.default_namespace.as_ref()).wide(),
            Cell::text("ID", self.id).wide(),
            Cell::optional("MESSAGE", self.message.as_ref()),
        ]
    }
}
