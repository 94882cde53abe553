use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};

use super::*;

#[test]
fn the_command_tree_is_consistent() {
    Cli::command().debug_assert();
}

fn walk(command: &Command, visit: &mut impl FnMut(&Command)) {
    visit(command);
    for inner in command.get_subcommands() {
        if inner.get_name() != "help" {
            walk(inner, visit);
        }
    }
}

/// The whole tree as help shows it, on any machine.
fn built() -> Command {
    let mut command = without_values(Cli::command())
        .color(clap::ColorChoice::Never)
        .term_width(100);
    command.build();
    command
}

/// Help shows what a variable is set to; here that would be the developer's own.
fn without_values(command: Command) -> Command {
    command
        .mut_args(|arg| arg.hide_env_values(true))
        .mut_subcommands(without_values)
}

#[test]
fn every_command_shows_an_example() {
    walk(&built(), &mut |command| {
        let help = command.clone().render_long_help().to_string();
        assert!(help.contains("Example:"), "{}", command.get_name());
    });
}

#[test]
fn what_is_configured_can_come_from_the_environment() {
    let by_hand = ["help", "version", "yes"];
    let has_variable =
        |arg: &Arg| arg.get_env().is_some() || by_hand.contains(&arg.get_id().as_str());
    for service in ["broker", "agent", "dev"] {
        let tree = built();
        let command = tree.find_subcommand(service).unwrap();
        for arg in command.get_arguments() {
            assert!(has_variable(arg), "{service} {}", arg.get_id());
        }
    }
}

/// `docs/reference/cli.md` is what `--help` says, so it is the snapshot of it too.
#[test]
fn the_reference_is_what_help_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/cli.md");
    let page = reference();
    if std::env::var_os("BROKKR_UPDATE").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == page,
        "docs/reference/cli.md is not what --help says: look at the change, then run\n  BROKKR_UPDATE=1 cargo test -p brokkr reference"
    );
}

fn reference() -> String {
    let mut page = String::from(
        "# Command line\n\nWhat `--help` says, command by command. A test holds this page to it.\n",
    );
    walk(&built(), &mut |command| {
        let name = command.get_bin_name().unwrap_or("brokkr").to_owned();
        let help = command.clone().render_long_help().to_string();
        let lines: Vec<_> = help.lines().map(str::trim_end).collect();
        let help = lines.join("\n");
        let _ = write!(page, "\n## {name}\n\n```text\n{}\n```\n", help.trim_end());
    });
    page
}
