use std::path::PathBuf;

use brokkr_broker::{Replace, Replaced, Standing};
use brokkr_core::ambient::System;
use clap::Args;

use super::database::Database;
use crate::output;
use crate::terminal::say;

/// Put a backup into the place of the database, while no broker runs
///
/// For SQLite; PostgreSQL has pg_restore. The backup is checked first: that it is whole, that this version knows its
/// tables, and that its audit has no gap. A database that is there is put aside under a name with the time, never
/// deleted. Cut short at any point, the old or the new database is there.
///
/// Nothing in any cluster is deleted by it. What was changed after the backup is lost to the broker; agents that have
/// seen some of it hold what they run, until `brokkr epochs accept` says that this database is the right one.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr broker restore --from brokkr-backup.db
  brokkr broker restore --database sqlite:/var/lib/brokkr/brokkr.db --from /backup/brokkr.db --replace")]
pub struct Restore {
    #[command(flatten)]
    database: Database,

    /// The backup
    #[arg(long, value_name = "FILE")]
    from: PathBuf,

    /// Put a database that is there aside
    #[arg(long)]
    replace: bool,
}

impl Restore {
    pub async fn run(self) -> anyhow::Result<()> {
        let replace = if self.replace {
            Replace::Yes
        } else {
            Replace::No
        };
        let restored =
            brokkr_broker::restore(&self.database.url, &self.from, replace, &System).await?;
        let Standing { epoch, revision } = restored.standing;
        output::write(&format!(
            "restored revision {revision} of history {epoch}\n"
        ))?;
        if let Some(replaced) = &restored.replaced {
            say(&format!(
                "What was there before is {} now: {}.",
                replaced.file.display(),
                what_it_was(replaced, restored.standing)
            ));
        }
        say(
            "Start the broker. Agents that have seen changes which this database does not have hold what they run, and \
             delete nothing: `brokkr status` reads Held and names their history. Look at the stacks and targets, publish \
             again what is missing, then let the agents follow: `brokkr epochs`, `brokkr epochs accept EPOCH`.",
        );
        Ok(())
    }
}

fn what_it_was(replaced: &Replaced, restored: Standing) -> String {
    let Some(was) = replaced.standing else {
        return "it could not be read".to_owned();
    };
    if was.epoch != restored.epoch {
        return format!("it was of another history, {}", was.epoch);
    }
    match was.revision.cmp(&restored.revision) {
        std::cmp::Ordering::Equal => "it had the same revision".to_owned(),
        std::cmp::Ordering::Less => format!("it was older, of revision {}", was.revision),
        std::cmp::Ordering::Greater => format!(
            "it had {} change(s) more, up to revision {}, which the broker does not know any more",
            was.revision - restored.revision,
            was.revision
        ),
    }
}
