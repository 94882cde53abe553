use clap::Args;

use super::database::Database;
use crate::output;

/// Check that no entry of the audit was edited, put in, or taken out
///
/// It reads the database, also beside a running broker. Where `retention.audit_days` is set, it begins where an entry says that
/// those before were forgotten. Each entry's hash covers the one before: keep the hash that
/// it prints elsewhere, and a later check can be held against it.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr broker verify-audit
  brokkr broker verify-audit --database postgres://brokkr@db.example/brokkr")]
pub struct VerifyAudit {
    #[command(flatten)]
    database: Database,
}

impl VerifyAudit {
    pub async fn run(self) -> anyhow::Result<()> {
        let verified = brokkr_broker::verify(&self.database.url).await?;
        let newest = verified.newest.map_or(String::new(), |(revision, hash)| {
            format!(", the newest of revision {revision} with hash {hash}")
        });
        let from = verified.forgotten.map_or(String::new(), |revision| {
            format!(" after revision {revision}, up to which they were forgotten")
        });
        output::write(&format!(
            "{} entries{from}, each follows from the one before{newest}\n",
            verified.entries
        ))
    }
}
