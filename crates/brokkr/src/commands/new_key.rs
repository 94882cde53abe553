//! A key that is shown once: on stdout, so that it can be piped, or in a file.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::failure::Usage;
use crate::key_file::Reserved;
use crate::output::{self, Output, Row};
use crate::terminal::say;

/// What to do with a new key.
#[derive(Args)]
pub struct NewKey {
    /// Write the key into a new file that only you may read, instead of to stdout
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,

    #[command(flatten)]
    output: Output,
}

/// A place that is ready for a key.
pub enum Place {
    File(Reserved),
    Stdout,
}

impl NewKey {
    /// Makes sure, before there is a key, that it has a place to go to.
    pub fn place(&self) -> anyhow::Result<Place> {
        match &self.key_file {
            Some(file) => Reserved::new(file).map(Place::File),
            None if self.output.is_name() => Err(Usage(
                "-o name has no room for the key, which is shown only once: add --key-file FILE"
                    .to_owned(),
            )
            .into()),
            None => Ok(Place::Stdout),
        }
    }

    /// Hands over the key of `owner`; `created` is both as the broker sent them.
    pub fn hand_over(
        &self,
        place: Place,
        key: &str,
        owner: &impl Row,
        created: &impl Serialize,
    ) -> anyhow::Result<()> {
        match place {
            Place::File(file) => {
                file.write(key)?;
                self.output.one(owner)
            }
            Place::Stdout if self.output.is_structured() => self.output.whole(created),
            Place::Stdout => {
                say("This is its key. It is shown only now; whoever has it can act for its owner.");
                output::write(&format!("{key}\n"))
            }
        }
    }
}
