use brokkr_core::targeting::Exclusion;
use clap::{ArgGroup, Args, Subcommand};

use super::parts::Parts;
use super::targeting::{Change, Listing, Which};

/// Keep agents out of a stack, whatever its rules say
///
/// Each exclusion keeps agents out by itself; inside an exclusion all parts must hold.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr stack exclude add checkout --labels canary --dry-run
  brokkr stack exclude list checkout")]
pub struct ExcludeList {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Add(Add),
    Remove(Remove),
    List(List),
}

/// Keep agents out: those that have the stack remove it
#[derive(Args)]
#[command(group(ArgGroup::new("parts").required(true).multiple(true).args(PARTS)))]
#[command(after_help = "Example:
  brokkr stack exclude add checkout --labels 'maintenance,!urgent' --dry-run
  brokkr stack exclude add checkout --annotations 'memory<64'")]
struct Add {
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    exclusion: Parts,
}

/// Take an exclusion away: agents that a rule reaches run the stack again
#[derive(Args)]
#[command(group(ArgGroup::new("parts").multiple(true).args(PARTS)))]
#[command(after_help = "Example:
  brokkr stack exclude remove checkout 1
  brokkr stack exclude remove checkout --labels canary --dry-run")]
struct Remove {
    #[command(flatten)]
    change: Change,
    /// Its number, as `brokkr stack exclude list` shows it
    #[arg(conflicts_with = "parts", required_unless_present = "parts")]
    number: Option<usize>,
    #[command(flatten)]
    exclusion: Parts,
}

/// Show the exclusions of a stack
#[derive(Args)]
#[command(after_help = "Example:
  brokkr stack exclude list checkout")]
struct List {
    #[command(flatten)]
    listing: Listing,
}

const PARTS: [&str; 4] = ["labels", "same", "annotations", "same_annotations"];

impl ExcludeList {
    pub async fn run(self) -> anyhow::Result<()> {
        match self.verb {
            Verb::Add(add) => add.change.add(add.exclusion.exclusion()?).await,
            Verb::Remove(remove) => {
                let which = match remove.number {
                    Some(number) => Which::Number(number),
                    None => Which::Same(remove.exclusion.exclusion()?),
                };
                remove.change.remove(which).await
            }
            Verb::List(list) => list.listing.show::<Exclusion>().await,
        }
    }
}
