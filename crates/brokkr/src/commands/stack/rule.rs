use brokkr_core::targeting::Rule;
use clap::{ArgGroup, Args, Subcommand};

use super::parts::RuleFlags;
use super::targeting::{Change, Listing, Which};

/// Say by rules which agents run a stack
///
/// Each rule reaches agents by itself; inside a rule all parts must hold.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr stack rule add checkout --labels env=prod --same region --dry-run
  brokkr stack rule list checkout")]
pub struct RuleList {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Add(Add),
    Remove(Remove),
    List(List),
}

/// Let a rule reach agents
#[derive(Args)]
#[command(group(ArgGroup::new("parts").required(true).multiple(true).args(PARTS)))]
#[command(after_help = "Example:
  brokkr stack rule add checkout --labels 'env=prod,tier in (a,b),!gpu' --dry-run
  brokkr stack rule add checkout --same env --facts 'kubernetes.version>=1.33'
  brokkr stack rule add node-tools --every-agent")]
struct Add {
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    rule: RuleFlags,
}

/// Take a rule away: agents that no other rule reaches remove the stack
#[derive(Args)]
#[command(group(ArgGroup::new("parts").multiple(true).args(PARTS)))]
#[command(after_help = "Example:
  brokkr stack rule remove checkout 2 --dry-run
  brokkr stack rule remove checkout --labels env=prod --same region")]
struct Remove {
    #[command(flatten)]
    change: Change,
    /// Its number, as `brokkr stack rule list` shows it
    #[arg(conflicts_with = "parts", required_unless_present = "parts")]
    number: Option<usize>,
    #[command(flatten)]
    rule: RuleFlags,
}

/// Show the rules of a stack
#[derive(Args)]
#[command(after_help = "Example:
  brokkr stack rule list checkout")]
struct List {
    #[command(flatten)]
    listing: Listing,
}

const PARTS: [&str; 6] = [
    "labels",
    "same",
    "annotations",
    "same_annotations",
    "facts",
    "every_agent",
];

impl RuleList {
    pub async fn run(self) -> anyhow::Result<()> {
        match self.verb {
            Verb::Add(add) => add.change.add(add.rule.rule()?).await,
            Verb::Remove(remove) => {
                let which = match remove.number {
                    Some(number) => Which::Number(number),
                    None => Which::Same(remove.rule.rule()?),
                };
                remove.change.remove(which).await
            }
            Verb::List(list) => list.listing.show::<Rule>().await,
        }
    }
}
