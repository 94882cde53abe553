//! What agents report. It is collected while a group of reports comes together, and written by a few statements.

use std::collections::BTreeMap;
use std::sync::Arc;

use brokkr_core::wire::{About, AgentEvent, StackStatus};
use brokkr_core::{AgentId, EventId, StackId};

use super::retention;
use crate::error::Result;
use crate::store::{agent_events, target_status};
use crate::writer::{Change, Lane, Mutation};

/// What a group reports, each thing once: an event with its greatest count, a stack's status as it was said last.
/// The order is that of the tables, which all replicas lock alike.
#[derive(Default)]
pub(crate) struct Reports {
    events: BTreeMap<(AgentId, EventId), Arc<AgentEvent>>,
    statuses: BTreeMap<(AgentId, StackId), Arc<StackStatus>>,
}

impl Reports {
    fn event(&mut self, agent: AgentId, event: &Arc<AgentEvent>) {
        let kept = self
            .events
            .entry((agent, event.id))
            .or_insert_with(|| Arc::clone(event));
        if event.count > kept.count {
            *kept = Arc::clone(event);
        }
    }

    fn status(&mut self, agent: AgentId, status: &Arc<StackStatus>) {
        self.statuses
            .insert((agent, status.stack), Arc::clone(status));
    }

    /// Writes what the group has reported, and tells of what is news.
    pub(crate) async fn write(change: &mut Change) -> Result<()> {
        let Self { events, statuses } = std::mem::take(&mut change.reports);
        if !events.is_empty() {
            write_events(events, change).await?;
        }
        let statuses: Vec<_> = statuses
            .into_iter()
            .map(|((agent, _), status)| (agent, status))
            .collect();
        for (agent, stack) in target_status::report(&statuses, change.now, &mut change.tx).await? {
            change.tell(About::Status { agent, stack });
        }
        Ok(())
    }
}

/// What happened before the time since which events are kept is heard and not recorded: an agent may tell again what
/// was forgotten, such as the first success of what it runs, each time that it starts.
async fn write_events(
    events: BTreeMap<(AgentId, EventId), Arc<AgentEvent>>,
    change: &mut Change,
) -> Result<()> {
    let since = retention::events_since(change).await?;
    let kept: Vec<_> = events
        .into_iter()
        .map(|((agent, _), event)| (agent, event))
        .filter(|(_, event)| since.is_none_or(|since| event.last >= since))
        .collect();
    let news = agent_events::record(&kept, change.revision, change.now, &mut change.tx);
    for (agent, stack) in news.await? {
        change.tell(About::Events { agent, stack });
    }
    Ok(())
}

/// What a small report keeps in memory, in bytes, and each entry of a list without what it says in words.
const SMALL: usize = 1_024;
const ENTRY: usize = 128;

/// What words keep in memory, in bytes.
fn said(words: Option<&String>) -> usize {
    words.map_or(0, String::len)
}

/// Records outcomes that an agent reports; repeating a report changes nothing.
pub(crate) struct RecordEvents {
    pub(crate) agent: AgentId,
    pub(crate) events: Vec<Arc<AgentEvent>>,
}

impl Mutation for RecordEvents {
    type Output = ();
    const LANE: Lane = Lane::Ingest;

    fn weight(&self) -> usize {
        let event = |event: &Arc<AgentEvent>| {
            let objects = event.objects.iter();
            let objects =
                objects.map(|object| ENTRY + object.object.length() + said(object.reason.as_ref()));
            3 * ENTRY + said(event.reason.as_ref()) + objects.sum::<usize>()
        };
        SMALL + self.events.iter().map(event).sum::<usize>()
    }

    async fn apply(&self, change: &mut Change) -> Result<()> {
        for event in &self.events {
            change.reports.event(self.agent, event);
        }
        Ok(())
    }
}

/// Records how an agent's stacks are doing.
pub(crate) struct RecordStatus {
    pub(crate) agent: AgentId,
    pub(crate) stacks: Vec<Arc<StackStatus>>,
}

impl Mutation for RecordStatus {
    type Output = ();
    const LANE: Lane = Lane::Ingest;

    fn weight(&self) -> usize {
        let status = |status: &Arc<StackStatus>| {
            let objects = status.held.iter().flat_map(|held| &held.objects);
            let objects = objects.map(|object| ENTRY + object.length());
            2 * ENTRY + said(status.reason.as_ref()) + objects.sum::<usize>()
        };
        SMALL + self.stacks.iter().map(status).sum::<usize>()
    }

    async fn apply(&self, change: &mut Change) -> Result<()> {
        for status in &self.stacks {
            change.reports.status(self.agent, status);
        }
        Ok(())
    }
}
