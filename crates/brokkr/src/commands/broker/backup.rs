use std::path::PathBuf;

use brokkr_broker::Overwrite;
use brokkr_core::ambient::System;
use clap::Args;
use serde::Serialize;

use super::database::Database;
use crate::output::{Cell, Output, Row};

/// Copy the database into one file, beside a running broker
///
/// For SQLite; PostgreSQL has pg_dump. The file has all that was acknowledged before the backup began, and is there when
/// it is whole and was checked, not before. Only its owner may read it: it holds manifests, which may hold secrets.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr broker backup --to brokkr-backup.db
  brokkr broker backup --database sqlite:/var/lib/brokkr/brokkr.db --to /backup/brokkr.db --overwrite")]
pub struct Backup {
    #[command(flatten)]
    database: Database,

    /// The file to make
    #[arg(long, value_name = "FILE")]
    to: PathBuf,

    /// Put it into the place of a file that is there, once it is whole
    #[arg(long)]
    overwrite: bool,

    #[command(flatten)]
    output: Output,
}

impl Backup {
    pub async fn run(self) -> anyhow::Result<()> {
        let overwrite = if self.overwrite {
            Overwrite::Yes
        } else {
            Overwrite::No
        };
        let made = brokkr_broker::back_up(&self.database.url, &self.to, overwrite, &System).await?;
        self.output.one(&Made(made))
    }
}

#[derive(Serialize)]
struct Made(brokkr_broker::Backup);

impl Row for Made {
    fn name(&self) -> String {
        self.0.file.display().to_string()
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text("FILE", self.0.file.display()),
            Cell::text("BYTES", self.0.bytes),
            Cell::text("REVISION", self.0.revision),
            Cell::text("EPOCH", self.0.epoch),
            Cell::text("AT", self.0.begun_at),
        ]
    }
}
