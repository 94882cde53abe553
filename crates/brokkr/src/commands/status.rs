use std::time::Duration;

use brokkr_client::{Client, Error, WatchFilter};
use brokkr_core::name::Reference;
use brokkr_core::wire::{Health, Removal, Stack, Sync, TargetStatus};
use clap::Args;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::advice::filled;
use super::pulse::Pulse;
use crate::connection::Connection;
use crate::output::{Cell, Live, Output, Row};
use crate::terminal::say;

/// Silence and age come with time alone, and nobody tells of them.
const UNTOLD: Duration = Duration::from_secs(10);

/// Show how stacks are doing: one at each of its agents, or all in sum
#[derive(Args)]
#[command(after_help = "Example:
  brokkr status
  brokkr status checkout
  brokkr status checkout --watch
  brokkr status checkout --watch -o json       a line of JSON for each change")]
pub struct Status {
    /// The stack's name or id [default: all stacks]
    stack: Option<Reference>,

    /// Go on showing it, as it changes, until Ctrl-C: a terminal is redrawn, a pipe gets the rows that changed
    #[arg(long, short)]
    watch: bool,

    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

/// How a stack is doing, over all its agents.
#[derive(Serialize)]
struct Summary {
    stack: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<u64>,
    agents: usize,
    synced: usize,
    current: usize,
    removing: usize,
    #[serde(skip)]
    trouble: String,
}

/// How a stack is doing at an agent.
#[derive(Serialize)]
#[serde(transparent)]
struct Line<'a> {
    status: &'a TargetStatus,
    /// As it was asked for, which is how commands take it.
    #[serde(skip)]
    stack: &'a Reference,
}

impl Status {
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        if self.watch {
            return self.follow(&client).await;
        }
        let Some(stack) = &self.stack else {
            self.output.list(&summaries(&client).await?)?;
            if !self.output.is_structured() {
                let removals = client.removals(None, None).await?;
                deleted(&removals).as_deref().into_iter().for_each(say);
            }
            return Ok(());
        };
        let statuses = client.stack_status(stack).await?;
        if statuses.is_empty() && !self.output.is_structured() {
            say(&nobody(stack));
            return Ok(());
        }
        self.output.list(&lines(&statuses, stack))
    }

    /// Shows it again when it changes, until somebody ends the command.
    async fn follow(&self, client: &Client) -> anyhow::Result<()> {
        let filter = WatchFilter {
            stack: self.stack.clone(),
            agent: None,
        };
        let mut pulse = Pulse::new(client, filter);
        let mut live = self.output.live();
        let mut was_away = false;
        loop {
            let looked = Instant::now();
            match self.look(client, &mut live).await {
                Ok(()) => was_away = false,
                Err(error) if is_away(&error) => {
                    if !was_away {
                        say(&format!("{error:#} — it is tried again"));
                    }
                    was_away = true;
                }
                Err(error) => return Err(error),
            }
            // What takes long to read is not read all the time.
            sleep(looked.elapsed()).await;
            pulse.changed(UNTOLD).await;
        }
    }

    async fn look(&self, client: &Client, live: &mut Live<'_>) -> anyhow::Result<()> {
        let Some(stack) = &self.stack else {
            return live.show("All stacks; Ctrl-C ends this", &summaries(client).await?);
        };
        let statuses = client.stack_status(stack).await?;
        let title = if statuses.is_empty() {
            nobody(stack)
        } else {
            format!("Stack {stack}; Ctrl-C ends this")
        };
        live.show(&title, &lines(&statuses, stack))
    }
}

/// Whether the broker may be back soon.
fn is_away(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(Error::Unreachable { .. }))
}

fn nobody(stack: &Reference) -> String {
    format!(
        "No agent is responsible for stack {stack}: name one with `brokkr stack target {stack} --agent AGENT`, or a rule with \
         `brokkr stack rule add {stack} --labels SELECTOR`"
    )
}

fn lines<'a>(statuses: &'a [TargetStatus], stack: &'a Reference) -> Vec<Line<'a>> {
    let lines = statuses.iter().map(|status| Line { status, stack });
    lines.collect()
}

async fn summaries(client: &Client) -> anyhow::Result<Vec<Summary>> {
    let mut summaries = Vec::new();
    for stack in client.stacks().await? {
        let statuses = client.stack_status(&Reference::Id(stack.id.uuid())).await?;
        summaries.push(summary(&stack, &statuses));
    }
    Ok(summaries)
}

/// What is left of stacks that were deleted, which no summary has.
fn deleted(removals: &[Removal]) -> Option<String> {
    let is_deleted = |removal: &&Removal| removal.stack_deleted_at.is_some();
    let open: Vec<_> = removals.iter().filter(is_deleted).collect();
    let held = open.iter().filter(|removal| removal.held.is_some()).count();
    let what = match (open.len(), held) {
        (0, _) => return None,
        (open, 0) => format!("{open} removal(s) of deleted stacks are open"),
        (open, held) => {
            format!("{open} removal(s) of deleted stacks are open, {held} of them held")
        }
    };
    Some(format!("{what}: brokkr removals list"))
}

fn summary(stack: &Stack, statuses: &[TargetStatus]) -> Summary {
    let (removing, running): (Vec<_>, Vec<_>) = statuses
        .iter()
        .partition(|status| status.sync == Sync::Removing);
    let count = |holds: fn(&TargetStatus) -> bool| running.iter().filter(|s| holds(s)).count();
    Summary {
        stack: stack.name(),
        head: stack.head.as_ref().map(|head| head.sequence),
        agents: running.len(),
        synced: count(|status| status.sync == Sync::Synced),
        current: count(|status| status.health == Health::Current),
        removing: removing.len(),
        trouble: trouble(statuses, &stack.name()),
    }
}

/// The agents that need a look, with what they say.
fn trouble(statuses: &[TargetStatus], stack: &str) -> String {
    let needs_a_look = |status: &&TargetStatus| {
        matches!(sync(status), Sync::Failed | Sync::Held | Sync::Unknown)
            || status.sync != Sync::Removing && status.health == Health::Degraded
            || status.paused.is_paused()
    };
    let agents: Vec<String> = statuses
        .iter()
        .filter(needs_a_look)
        .map(|status| {
            let reason = status.reason.as_deref().unwrap_or_default();
            let reason = filled(reason, stack, &status.agent_name);
            let paused = if status.paused.is_paused() && !reason.starts_with("paused") {
                "paused "
            } else {
                ""
            };
            format!("{} {:?} {paused}{reason}", status.agent_name, sync(status))
        })
        .collect();
    agents.join("; ")
}

/// A removal that waits for somebody to decide does not go on by itself.
fn sync(status: &TargetStatus) -> Sync {
    if status.held.is_some() {
        Sync::Held
    } else {
        status.sync
    }
}

impl Row for Summary {
    fn name(&self) -> String {
        self.stack.clone()
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text("STACK", &self.stack),
            Cell::optional("HEAD", self.head),
            Cell::text("AGENTS", self.agents),
            Cell::text("SYNCED", self.synced),
            Cell::text("CURRENT", self.current),
            Cell::text("REMOVING", self.removing),
            Cell::text("TROUBLE", &self.trouble),
        ]
    }
}

impl Row for Line<'_> {
    fn name(&self) -> String {
        self.status.agent_name.to_string()
    }

    fn cells(&self) -> Vec<Cell> {
        let Self { status, stack } = self;
        let ineligible = "ineligible: the facts that the rule asks for hold no more";
        let ineligible = status.ineligible.then_some(ineligible);
        // What the agent says of it names what differs; until it does, or if it cannot, this is known.
        let reason = status.reason.as_deref().unwrap_or_default();
        let paused = status.paused.is_paused() && !reason.starts_with("paused");
        let paused = paused.then(|| status.paused.told(stack, &status.agent_name).to_string());
        let told = status.reason.as_deref();
        let told = told.map(|reason| filled(reason, stack, &status.agent_name));
        let advice = "decide with `brokkr removals approve` or `refuse`";
        let is_advised = reason.contains("brokkr removals");
        let advice = (status.held.is_some() && !is_advised).then_some(advice);
        let reasons: Vec<&str> = ineligible
            .into_iter()
            .chain(paused.as_deref())
            .chain(told.as_deref())
            .chain(advice)
            .collect();
        vec![
            Cell::text("AGENT", &status.agent_name),
            Cell::text("SYNC", format!("{:?}", sync(status))),
            Cell::text("HEALTH", format!("{:?}", status.health)),
            Cell::optional("DESIRED", status.desired),
            Cell::optional("APPLIED", status.applied),
            Cell::time("HEARD", status.observed_at),
            Cell::text("REASON", reasons.join("; ")).whole(),
        ]
    }

    /// When it was heard of last is no change.
    fn state(&self) -> anyhow::Result<String> {
        let status = TargetStatus {
            observed_at: None,
            ..self.status.clone()
        };
        Ok(serde_json::to_string(&status)?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    #[test]
    fn what_is_left_of_deleted_stacks_is_counted() {
        let removal = |held: bool| -> Removal {
            let loss = json!({"cause": {"removal": 7}, "count": 9, "first": [], "owned": 11});
            from_value(json!({
                "id": ID, "agent": ID, "agent_name": "eu-1", "stack": ID, "stack_name": "shop", "policy": "delete",
                "allow_delete": [], "since": "2026-11-24T00:00:00Z", "stack_deleted_at": "2026-11-24T00:00:00Z", "held": held.then_some(loss),
            }))
            .unwrap()
        };
        let (going, held) = (removal(false), removal(true));
        let of_a_living = Removal {
            stack_deleted_at: None,
            ..removal(true)
        };
        assert_eq!(deleted(&[of_a_living]), None);
        insta::assert_snapshot!(deleted(std::slice::from_ref(&going)).unwrap(), @"1 removal(s) of deleted stacks are open: brokkr removals list");
        insta::assert_snapshot!(deleted(&[going, held]).unwrap(), @"2 removal(s) of deleted stacks are open, 1 of them held: brokkr removals list");
    }

    #[test]
    fn a_reason_is_whole_and_its_commands_are_those_of_this_stack() {
        let long = "x".repeat(300);
        let status: TargetStatus = from_value(json!({
            "agent": ID, "agent_name": "eu-1", "desired": 2, "applied": 1, "sync": "Failed", "health": "Current",
            "ineligible": false, "reason": format!("{long}: `brokkr stack set STACK --adopt always`"), "observed_at": null,
        }))
        .unwrap();
        let stack: Reference = "ci:shop".parse().unwrap();
        let line = Line {
            status: &status,
            stack: &stack,
        };
        let table = crate::output::narrow(&[line]);
        let told = format!("{long}: `brokkr stack set ci:shop --adopt always`");
        assert!(table.contains(&told), "{table}");
    }
}
