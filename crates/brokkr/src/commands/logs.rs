use std::collections::BTreeSet;
use std::fmt::Write as _;

use brokkr_core::name::Reference;
use brokkr_core::wire::{Ask, ContainerLog, LOG_LINES, LogLines, RequestAnswer, StackLogs};
use clap::Args;

use super::ask::{self, Patience};
use crate::connection::Connection;
use crate::output::{self, Output, printable};
use crate::terminal::say;

/// Show what the containers of a stack wrote last in one cluster
///
/// Those of pods that are not ready, and where a container fails again and again, that of the run before, too. What the agent knows
/// of the stack's secrets it takes out of the lines.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr logs checkout --agent eu-1
  brokkr logs checkout --agent eu-1 --all --container web --tail 200
  brokkr logs checkout --agent eu-1 --previous")]
pub struct Logs {
    /// The stack's name or id
    #[arg(value_name = "STACK")]
    stack: Reference,

    /// The agent's name or id
    #[arg(long, value_name = "AGENT")]
    agent: Reference,

    /// Also those of pods that are ready, and of older versions
    #[arg(long)]
    all: bool,

    /// Only those of containers with this name
    #[arg(long, short = 'c', value_name = "CONTAINER")]
    container: Option<String>,

    /// How many of the last lines of each
    #[arg(long, value_name = "LINES", default_value_t = LOG_LINES)]
    tail: LogLines,

    /// Only those of the run before the present one
    #[arg(long, short = 'p')]
    previous: bool,

    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Logs {
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let agents = ask::agents(&client, Some(&self.agent), Some(&self.stack)).await?;
        let ask = Ask::Logs {
            stack: self.stack,
            all: self.all,
            container: self.container,
            tail: self.tail,
            previous: self.previous,
        };
        let answers = self.patience.ask(&client, agents, ask).await;
        if self.output.is_structured() {
            self.output.whole(&answers)?;
            return ask::check(&answers);
        }
        for answered in &answers {
            match (&answered.answer, &answered.failure) {
                (Some(RequestAnswer::Logs(logs)), _) => {
                    output::write(&written(logs))?;
                    for note in notes(logs) {
                        say(&note);
                    }
                }
                (_, Some(failure)) => say(&format!("{}: {failure}", answered.agent)),
                _ => say("its answer is of a kind that this version does not know"),
            }
        }
        ask::check(&answers)
    }
}

/// The lines, with whose they are.
fn written(logs: &StackLogs) -> String {
    let mut text = String::new();
    for log in &logs.logs {
        let whose = whose(log, logs);
        for line in &log.lines {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{whose}: {}", printable(line));
        }
    }
    text
}

/// `POD/CONTAINER`, with the namespace in front if there are several.
fn whose(log: &ContainerLog, logs: &StackLogs) -> String {
    let namespaces: BTreeSet<_> = logs.logs.iter().map(|log| &log.namespace).collect();
    let namespace = match namespaces.len() {
        0 | 1 => String::new(),
        _ => format!("{}/", log.namespace),
    };
    let previous = if log.previous { " (previous)" } else { "" };
    printable(&format!(
        "{namespace}{}/{}{previous}",
        log.pod, log.container
    ))
}

/// What is not in the lines.
fn notes(logs: &StackLogs) -> Vec<String> {
    let mut notes = Vec::new();
    if logs.logs.is_empty() && logs.remarks.is_empty() {
        notes.push(
            "No container fails that could be asked: --all shows what all of them wrote."
                .to_owned(),
        );
    }
    for log in &logs.logs {
        let whose = whose(log, logs);
        if let Some(failure) = &log.failure {
            notes.push(format!("{whose}: {failure}"));
        } else if log.lines.is_empty() && !log.is_cut {
            notes.push(format!("{whose}: it has written nothing"));
        }
        if log.is_cut {
            notes.push(format!(
                "{whose}: older lines are left out: they are too long"
            ));
        }
    }
    if logs.more > 0 {
        notes.push(format!(
            "The logs of {} more containers were not read.",
            logs.more
        ));
    }
    notes.extend(logs.remarks.iter().map(|remark| format!("Note: {remark}")));
    notes.iter().map(|note| printable(note)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn each_line_says_whose_it_is_and_what_is_missing_is_said_beside() {
        let mut logs: StackLogs = from_value(json!({
            "more": 3,
            "remarks": ["the pods of Job shop/a cannot be seen"],
            "logs": [
                {"namespace": "shop", "pod": "web-1", "container": "main", "previous": true, "lines": ["a", "\u{1b}[2Jb"], "is_cut": true},
                {"namespace": "shop", "pod": "web-1", "container": "main", "lines": []},
                {"namespace": "shop", "pod": "web-2", "container": "main", "failure": "it has not run yet"},
            ],
        }))
        .unwrap();
        insta::assert_snapshot!(written(&logs), @r"
        web-1/main (previous): a
        web-1/main (previous):  [2Jb
        ");
        insta::assert_snapshot!(notes(&logs).join("\n"), @r"
        web-1/main (previous): older lines are left out: they are too long
        web-1/main: it has written nothing
        web-2/main: it has not run yet
        The logs of 3 more containers were not read.
        Note: the pods of Job shop/a cannot be seen
        ");
        logs.logs[2].namespace = "other".to_owned();
        assert!(written(&logs).starts_with("shop/web-1/main (previous): a\n"));
        let nothing = notes(&StackLogs::default()).join("\n");
        assert!(nothing.contains("--all"), "{nothing}");
    }
}
