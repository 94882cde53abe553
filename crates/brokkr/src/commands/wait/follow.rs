//! Following a sequence on its way to the agents, and saying what changes.

use std::time::Duration;

use anyhow::bail;
use brokkr_client::{Client, Error, WatchFilter};
use brokkr_core::name::{Name, Reference};
use brokkr_core::wire::{Stack, Sync, TargetStatus};
use tokio::time::Instant;

use super::aim::Aim;
use super::verdict::Verdict;
use crate::commands::advice::filled;
use crate::commands::pulse::Pulse;
use crate::failure::TimedOut;
use crate::output::printable;
use crate::terminal::say;

/// Time alone decides some things, and nobody tells of it.
const UNTOLD: Duration = Duration::from_secs(2);
/// Agents retry what fails, and much of it heals within this time: a definition that is not served
/// yet, a quota that is being raised.
const GRACE: Duration = Duration::from_secs(15);
/// What runs badly may come to run well: a node is being added, a registry is busy, a neighbour is not up yet.
const UNWELL_GRACE: Duration = Duration::from_mins(2);

/// Waits until it is so.
///
/// # Errors
/// When it will not be so before somebody does something; after the time, [`TimedOut`].
pub async fn follow(
    client: &Client,
    stack: &Stack,
    aim: &Aim,
    timeout: Duration,
) -> anyhow::Result<()> {
    let name = &Reference::of(stack.generator.as_ref(), &stack.name);
    let sequence = aim.sequence;
    let began = Instant::now();
    let (mut in_trouble, mut unwell) = (Spell::default(), Spell::default());
    let mut progress = Progress::default();
    let filter = WatchFilter {
        stack: Some(Reference::Id(stack.id.uuid())),
        agent: None,
    };
    let mut pulse = Pulse::new(client, filter);
    while began.elapsed() <= timeout {
        match look(client, stack, aim, &mut progress).await? {
            Verdict::Done => {
                say(&format!("Stack {name} {}.", aim.reached()));
                return Ok(());
            }
            Verdict::Nobody => bail!(
                "no agent is responsible for stack {name} — name one with `brokkr stack target {name} --agent AGENT`"
            ),
            Verdict::Superseded(newer) => bail!(
                "sequence {newer} was published before every agent had {sequence} — `brokkr history {name}` shows by whom"
            ),
            Verdict::Paused(told) => bail!(
                "sequence {sequence} of stack {name} is published, and {told} — it goes on by itself when that is resumed"
            ),
            Verdict::InTrouble(trouble) => {
                unwell = Spell::default();
                if in_trouble.for_longer_than(GRACE) {
                    bail!("{trouble} — `brokkr events --stack {name}` tells more");
                }
            }
            Verdict::Unwell(trouble) => {
                in_trouble = Spell::default();
                if unwell.for_longer_than(UNWELL_GRACE) {
                    bail!("{trouble} — `brokkr status {name}` tells how it is now");
                }
            }
            Verdict::Going => (in_trouble, unwell) = Default::default(),
        }
        pulse.changed(UNTOLD).await;
    }
    let seconds = timeout.as_secs();
    let text = format!(
        "stack {name} {} after {seconds} s — `brokkr status {name}` shows how far it is",
        aim.missed()
    );
    Err(TimedOut(text).into())
}

/// How long something has been so without a break.
#[derive(Default)]
struct Spell(Option<Instant>);

impl Spell {
    /// Notes that it is so, and says whether it has been for longer than this.
    fn for_longer_than(&mut self, grace: Duration) -> bool {
        self.0.get_or_insert_with(Instant::now).elapsed() > grace
    }
}

async fn look(
    client: &Client,
    stack: &Stack,
    aim: &Aim,
    progress: &mut Progress,
) -> anyhow::Result<Verdict> {
    match client.stack_status(&Reference::Id(stack.id.uuid())).await {
        Ok(statuses) => {
            let name = Reference::of(stack.generator.as_ref(), &stack.name).to_string();
            progress.show(&statuses, &name);
            Ok(Verdict::of(&statuses, aim, &name))
        }
        // A broker that restarts is no failed deployment.
        Err(Error::Unreachable { .. }) => Ok(Verdict::Going),
        Err(error) => Err(error.into()),
    }
}

/// Says what has changed since it was shown last.
#[derive(Default)]
struct Progress {
    shown: Vec<(Name, String)>,
}

impl Progress {
    fn show(&mut self, statuses: &[TargetStatus], stack: &str) {
        let now: Vec<_> = statuses
            .iter()
            .map(|status| (status.agent_name.clone(), line(status, stack)))
            .collect();
        for entry in &now {
            if !self.shown.contains(entry) {
                say(&format!("  {}: {}", entry.0, entry.1));
            }
        }
        self.shown = now;
    }
}

fn line(status: &TargetStatus, stack: &str) -> String {
    let mut line = format!("{:?}", status.sync);
    if status.sync == Sync::Synced {
        line = format!("{line}, {:?}", status.health);
    }
    match &status.reason {
        Some(reason) => {
            let reason = filled(reason, stack, &status.agent_name);
            format!("{line}: {}", printable(&reason))
        }
        None => line,
    }
}
