use brokkr_core::AgentId;
use brokkr_core::wire::{About, AgentEvent, StackStatus};

use super::retention;
use crate::error::Result;
use crate::store::{agent_events, target_status};
use crate::writer::{Change, Lane, Mutation};

/// Records outcomes that an agent reports; repeating a report changes nothing. What happened before the time
/// since which events are kept is heard and not recorded: an agent may tell again what was forgotten, such as
/// the first success of what it runs, each time that it starts.
pub(crate) struct RecordEvents {
    pub(crate) agent: AgentId,
    pub(crate) events: Vec<AgentEvent>,
}

impl Mutation for RecordEvents {
    type Output = ();
    const LANE: Lane = Lane::Ingest;

    async fn apply(&self, change: &mut Change) -> Result<()> {
        let since = retention::events_since(change).await?;
        let is_kept = |event: &&AgentEvent| since.is_none_or(|since| event.last >= since);
        for event in self.events.iter().filter(is_kept) {
            let is_news = agent_events::record(
                self.agent,
                event,
                change.revision,
                change.now,
                &mut change.tx,
            );
            if is_news.await? {
                change.tell(About::Events {
                    agent: self.agent,
                    stack: event.stack,
                });
            }
        }
        Ok(())
    }
}

/// Records how an agent's stacks are doing.
pub(crate) struct RecordStatus {
    pub(crate) agent: AgentId,
    pub(crate) stacks: Vec<StackStatus>,
}

impl Mutation for RecordStatus {
    type Output = ();
    const LANE: Lane = Lane::Ingest;

    async fn apply(&self, change: &mut Change) -> Result<()> {
        for status in &self.stacks {
            if target_status::report(self.agent, status, change.now, &mut change.tx).await? {
                change.tell(About::Status {
                    agent: self.agent,
                    stack: status.stack,
                });
            }
        }
        Ok(())
    }
}
