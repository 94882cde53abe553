use brokkr_core::AgentId;
use brokkr_core::wire::{AgentEvent, StackStatus};

use crate::error::Result;
use crate::store::{agent_events, target_status};
use crate::writer::{Change, Lane, Mutation};

/// Records outcomes that an agent reports; repeating a report changes nothing.
pub(crate) struct RecordEvents {
    pub(crate) agent: AgentId,
    pub(crate) events: Vec<AgentEvent>,
}

impl Mutation for RecordEvents {
    type Output = ();
    const LANE: Lane = Lane::Ingest;

    async fn apply(&self, change: &mut Change) -> Result<()> {
        for event in &self.events {
            agent_events::record(
                self.agent,
                event,
                change.revision,
                change.now,
                &mut change.tx,
            )
            .await?;
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
            target_status::report(self.agent, status, change.now, &mut change.tx).await?;
        }
        Ok(())
    }
}
