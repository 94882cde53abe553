//! Talking with a person: everything here goes to stderr, so that stdout is only data.

use std::io::{self, IsTerminal, Write as _};

use clap::Args;

use crate::failure::Usage;
use crate::output::printable_lines;

/// Says something. That nobody listens is no reason to fail.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{}", printable_lines(text));
}

/// Whether to ask before something is taken away.
#[derive(Args)]
pub struct Confirmation {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Confirmation {
    /// Asks `question`; everything but a yes ends the command.
    pub fn ask(&self, question: &str) -> anyhow::Result<()> {
        if self.yes {
            return Ok(());
        }
        if !is_interactive() {
            return Err(Usage(format!(
                "nobody is at a terminal to answer: {question} — repeat with --yes"
            ))
            .into());
        }
        let _ = write!(io::stderr(), "{} [y/N] ", printable_lines(question));
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => anyhow::bail!("nothing was changed"),
        }
    }
}

/// Whether a person can be asked.
pub fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}
