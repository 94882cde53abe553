use brokkr_core::AgentId;

use crate::error::Result;
use crate::store::agents::{self, Heartbeat};
use crate::writer::{Change, Lane, Mutation};

/// Keeps when agents polled last: a chunk of what memory holds, so that other replicas and restarts know.
pub(crate) struct RecordHeartbeats(pub(crate) Vec<(AgentId, Heartbeat)>);

impl Mutation for RecordHeartbeats {
    type Output = ();
    const LANE: Lane = Lane::Ingest;

    async fn apply(&self, change: &mut Change) -> Result<()> {
        agents::record_heartbeats(&self.0, &mut change.tx).await
    }
}
