//! What is not kept for ever is forgotten at the start, every hour, and when the settings change.
//!
//! Every replica does it. Two at once share the work: what one has forgotten the other does not find.

use std::sync::Arc;
use std::time::Duration;

use brokkr_core::wire::ActorRole;
use uuid::Uuid;

use crate::Broker;
use crate::audit;
use crate::changes::retention::{Forget, ForgetEvents, ShortenAudit};
use crate::error::Result;
use crate::store::agent_events::Position;

const EVERY: Duration = Duration::from_hours(1);

/// Forgets until the broker stops.
pub(crate) async fn keep(broker: Arc<Broker>) {
    loop {
        if let Err(error) = sweep(&broker).await {
            tracing::warn!(%error, "what is too old could not be forgotten yet");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = broker.settings_changed.notified() => {}
            () = broker.stopping.cancelled() => return,
        }
    }
}

/// What cannot be forgotten holds up nothing else.
async fn sweep(broker: &Broker) -> Result<()> {
    let mut outcome = forget_events(broker).await;
    let itself = || audit::local(ActorRole::Broker);
    outcome = outcome.and(broker.change(itself(), ShortenAudit).await);
    for forget in Forget::ALL {
        outcome = outcome.and(forget_all(forget, broker).await);
    }
    outcome
}

async fn forget_events(broker: &Broker) -> Result<()> {
    let mut place = Some(Position {
        ingest: 0,
        id: Uuid::nil(),
    });
    while let Some(after) = place
        && !broker.stopping.is_cancelled()
    {
        let itself = audit::local(ActorRole::Broker);
        place = broker.change(itself, ForgetEvents { after }).await?;
    }
    Ok(())
}

async fn forget_all(forget: Forget, broker: &Broker) -> Result<()> {
    let itself = || audit::local(ActorRole::Broker);
    while !broker.stopping.is_cancelled() && broker.change(itself(), forget).await? {}
    Ok(())
}
