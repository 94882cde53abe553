use brokkr_core::name::Reference;
use brokkr_core::wire::{Health, Stack, Sync, TargetStatus};
use clap::Args;
use serde::Serialize;

use crate::connection::Connection;
use crate::output::{Cell, Output, Row};

/// Show how stacks are doing: one at each of its agents, or all in sum
#[derive(Args)]
#[command(after_help = "Example:
  brokkr status
  brokkr status checkout")]
pub struct Status {
    /// The stack's name or id [default: all stacks]
    stack: Option<Reference>,
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

impl Status {
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        if let Some(stack) = &self.stack {
            return self.output.list(&client.stack_status(stack).await?);
        }
        let mut summaries = Vec::new();
        for stack in client.stacks().await? {
            let statuses = client.stack_status(&Reference::Id(stack.id.uuid())).await?;
            summaries.push(summary(&stack, &statuses));
        }
        self.output.list(&summaries)
    }
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
        trouble: trouble(statuses),
    }
}

/// The agents that need a look, with what they say.
fn trouble(statuses: &[TargetStatus]) -> String {
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

impl Row for TargetStatus {
    fn name(&self) -> String {
        self.agent_name.to_string()
    }

    fn cells(&self) -> Vec<Cell> {
        let ineligible = "ineligible: the facts that the rule asks for hold no more";
        let ineligible = self.ineligible.then_some(ineligible);
        // What the agent says of it names what differs; until it does, or if it cannot, this is known.
        let reason = self.reason.as_deref().unwrap_or_default();
        let paused = self.paused.is_paused() && !reason.starts_with("paused");
        let paused = paused.then(|| self.paused.told("STACK", &self.agent_name).to_string());
        let advice = "decide with `brokkr removals approve` or `refuse`";
        let is_advised = reason.contains("brokkr removals");
        let advice = (self.held.is_some() && !is_advised).then_some(advice);
        let reasons: Vec<&str> = ineligible
            .into_iter()
            .chain(paused.as_deref())
            .chain(self.reason.as_deref())
            .chain(advice)
            .collect();
        vec![
            Cell::text("AGENT", &self.agent_name),
            Cell::text("SYNC", format!("{:?}", sync(self))),
            Cell::text("HEALTH", format!("{:?}", self.health)),
            Cell::optional("DESIRED", self.desired),
            Cell::optional("APPLIED", self.applied),
            Cell::time("HEARD", self.observed_at),
            Cell::text("REASON", reasons.join("; ")),
        ]
    }
}
