use clap::{Args, CommandFactory as _, ValueEnum};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::output;

/// Print what a shell needs to complete commands
#[derive(Args)]
#[command(after_help = "Example:
  source <(brokkr completion bash)
  brokkr completion fish > ~/.config/fish/completions/brokkr.fish")]
pub struct Completion {
    /// The shell
    shell: Supported,
}

#[derive(Clone, Copy, ValueEnum)]
enum Supported {
    Bash,
    Zsh,
    Fish,
}

impl Completion {
    pub fn run(&self) -> anyhow::Result<()> {
        let shell = match self.shell {
            Supported::Bash => Shell::Bash,
            Supported::Zsh => Shell::Zsh,
            Supported::Fish => Shell::Fish,
        };
        // Into memory first: the generator panics if it cannot write.
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "brokkr", &mut script);
        output::write(&String::from_utf8(script)?)
    }
}
