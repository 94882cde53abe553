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

/// The examples of the help texts, each as words.
fn examples() -> Vec<Vec<String>> {
    let mut examples = Vec::new();
    walk(&built(), &mut |command| {
        let help = command.get_after_help().map(ToString::to_string);
        let help = help.unwrap_or_default();
        let lines = help.lines().filter_map(|line| line.strip_prefix("  "));
        let commands = lines.flat_map(|line| line.split(" | "));
        examples.extend(commands.filter(|it| it.starts_with("brokkr")).map(words));
    });
    examples
}

/// The words of a line as a shell splits them, without the explanation behind them.
fn words(line: &str) -> Vec<String> {
    let line = line.split("   ").next().unwrap_or_default();
    let line = line.split(" > ").next().unwrap_or_default();
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for character in line.chars() {
        match character {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            other => words.last_mut().unwrap().push(other),
        }
    }
    words
}

#[test]
fn every_example_can_be_typed() {
    let examples = examples();
    assert!(examples.len() > 40, "{examples:?}");
    for example in examples {
        if let Err(error) = Cli::try_parse_from(&example) {
            panic!("{example:?}\n{error}");
        }
    }
}

fn refusal(line: &str) -> String {
    match Cli::try_parse_from(words(line)) {
        Ok(_) => "it was taken".to_owned(),
        Err(error) => error.render().to_string(),
    }
}

/// What a selector gets wrong is said with its column, and before anything is sent.
#[test]
fn what_targets_wrongly_is_refused_by_the_parser() {
    let first = |line| refusal(line).lines().next().unwrap_or_default().to_owned();
    insta::assert_snapshot!(first("brokkr stack rule add shop --labels 'env=prod,tier in a'"), @"error: invalid value 'env=prod,tier in a' for '--labels <SELECTOR>': column 18: expected `(`, found `a`");
    insta::assert_snapshot!(first("brokkr stack rule add shop --labels gpu --facts 'colour=red'"), @"error: invalid value 'colour=red' for '--facts <CONDITIONS>': column 1: `colour` is not a fact: agents report `kubernetes.version`, `provider`, `region` and `kinds`");
    insta::assert_snapshot!(first("brokkr stack rule add shop --annotations 'memory>>6'"), @"error: invalid value 'memory>>6' for '--annotations <CONDITIONS>': column 8: expected a number such as `64` or `0.5`, found `>`");
    insta::assert_snapshot!(first("brokkr stack rule add shop --same 'env,a b'"), @"error: invalid value 'a b' for '--same <KEY,…>': `a b` is not a key: use 1 to 63 letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit, optionally after a DNS name and `/`");
    insta::assert_snapshot!(first("brokkr generator create ci --scope '!prod,'"), @"error: invalid value '!prod,' for '--scope <SELECTOR>': column 7: expected a key, found the end");
    insta::assert_snapshot!(first("brokkr agent create eu-1 --label 'env=a b'"), @"error: invalid value 'env=a b' for '--label <KEY[=VALUE]>': `env`: `a b` is not a label value: use up to 63 letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit");
    insta::assert_snapshot!(first("brokkr agent set eu-1 --annotation 'a b=1'"), @"error: invalid value 'a b=1' for '--annotation <KEY[=VALUE]>': `a b` is not a key: use 1 to 63 letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit, optionally after a DNS name and `/`");
}

/// What a setting cannot be is said with its bounds.
#[test]
fn what_cannot_be_settled_is_refused_by_the_parser() {
    let first = |line| refusal(line).lines().next().unwrap_or_default().to_owned();
    insta::assert_snapshot!(first("brokkr settings set --agent-events-days 0"), @"error: invalid value '0' for '--agent-events-days <DAYS>': write a whole number from 1 to 3650, or `forever`");
    insta::assert_snapshot!(first("brokkr settings set --agent-events-days never"), @"error: invalid value 'never' for '--agent-events-days <DAYS>': write a whole number from 1 to 3650, or `forever`");
    insta::assert_snapshot!(first("brokkr settings set --keys-per-identity 1"), @"error: invalid value '1' for '--keys-per-identity <N>': write a whole number from 2 to 1000");
    insta::assert_snapshot!(first("brokkr settings set --keys-per-identity 1001"), @"error: invalid value '1001' for '--keys-per-identity <N>': write a whole number from 2 to 1000");
}

#[test]
fn a_change_says_what_it_changes() {
    for line in [
        "brokkr agent set eu-1",
        "brokkr agent set eu-1 --dry-run",
        "brokkr stack set shop --yes",
        "brokkr generator set ci",
        "brokkr settings set",
        "brokkr settings set --yes",
        "brokkr generator create ci",
        "brokkr generator create ci --max-stacks 1",
        "brokkr stack rule add shop",
        "brokkr stack rule remove shop",
        "brokkr stack exclude remove shop --dry-run",
        "brokkr stack rule remove shop 1 --labels gpu",
        "brokkr stack rule add shop --every-agent --labels gpu",
        "brokkr generator create ci --all-agents --scope gpu",
        "brokkr stack exclude add shop --facts region=eu",
    ] {
        assert!(Cli::try_parse_from(words(line)).is_err(), "{line}");
    }
    for line in [
        "brokkr generator create ci --scope gpu --scope-annotations memory --max-stacks 1 --max-bytes 2",
        "brokkr stack set shop --label a --annotation b=1 --remove-label c --on-remove orphan",
        "brokkr stack rule remove shop --labels gpu --same a,b",
        "brokkr stack rule add shop --every-agent --facts region=eu",
    ] {
        assert_eq!(refusal(line), "it was taken", "{line}");
    }
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
