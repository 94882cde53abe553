use brokkr_core::wire::Me;
use clap::Args;
use serde::Serialize;

use crate::connection::Connection;
use crate::output::{Cell, Output, Row};

/// Show whose key is in use, and at which broker
#[derive(Args)]
#[command(after_help = "Example:
  brokkr whoami")]
pub struct Whoami {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

/// A caller at a broker.
#[derive(Serialize)]
struct Caller {
    server: String,
    #[serde(flatten)]
    me: Me,
}

impl Whoami {
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let me = client.me().await?;
        let server = client.server().as_str().trim_end_matches('/').to_owned();
        self.output.one(&Caller { server, me })
    }
}

/// Such as `generator ci`.
pub fn describe(me: &Me) -> String {
    match &me.name {
        Some(name) => format!("{} {name}", me.role),
        None => me.role.to_string(),
    }
}

impl Row for Caller {
    fn name(&self) -> String {
        describe(&self.me)
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text("ROLE", self.me.role),
            Cell::optional("NAME", self.me.name.as_ref()),
            Cell::text("SERVER", &self.server),
            Cell::text("KEY", self.me.key).wide(),
        ]
    }
}
