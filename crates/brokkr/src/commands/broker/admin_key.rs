use std::path::PathBuf;
use std::sync::Arc;

use brokkr_core::Name;
use brokkr_core::ambient::System;
use clap::Args;

use super::database::Database;
use crate::key_file::Reserved;
use crate::output;
use crate::terminal::say;

/// Make another admin key, on the host of the database
///
/// For whoever has lost the last one, and may read the database. It works beside a running broker, which knows the
/// key within a second.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr broker admin-key --out admin.key
  brokkr broker admin-key --database postgres://brokkr@db.example/brokkr --name alice")]
pub struct AdminKey {
    #[command(flatten)]
    database: Database,

    /// What to call the key
    #[arg(long, value_name = "NAME", default_value = "host")]
    name: Name,

    /// Write the key into a new file that only you may read, instead of to stdout
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl AdminKey {
    pub async fn run(self) -> anyhow::Result<()> {
        let place = self.out.as_deref().map(Reserved::new).transpose()?;
        let pak =
            brokkr_broker::make_admin_key(&self.database.url, self.name, Arc::new(System)).await?;
        match place {
            Some(file) => file.write(pak.expose())?,
            None => output::write(&format!("{}\n", pak.expose()))?,
        }
        say("Made another admin key. It is shown only now; whoever has it may do everything.");
        Ok(())
    }
}
