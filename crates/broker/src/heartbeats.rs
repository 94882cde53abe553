//! Heartbeats, and when keys were used, lie in memory and reach the database in chunks, each agent's twice a minute.

use brokkr_core::wire::ActorRole;
use std::sync::Arc;
use std::time::Duration;

use crate::Broker;
use crate::audit;
use crate::changes::heartbeats::RecordHeartbeats;
use crate::changes::keys::RecordUses;
use crate::writer::Mutation;

const ROUND: Duration = Duration::from_secs(30);
/// So many rows hold the writer for a few milliseconds.
const CHUNK: usize = 512;

/// Writes in rounds until the broker stops, and what is new once more then.
pub(crate) async fn keep(broker: Arc<Broker>) {
    while !broker.stopping.is_cancelled() {
        round(&broker).await;
    }
    round(&broker).await;
}

/// Writes all that is new, spread over the time of a round: a publish waits for a chunk at the most, and finds the cores
/// free after it. A broker that stops waits no longer.
async fn round(broker: &Broker) {
    let (seats, uses) = (broker.fleet.seats(), broker.fleet.unflushed_uses());
    let (seats, uses) = (seats.chunks(CHUNK), uses.chunks(CHUNK));
    let pauses = u32::try_from(1 + seats.len() + uses.len()).unwrap_or(u32::MAX);
    let pause = async || {
        let _ = tokio::time::timeout(ROUND / pauses, broker.stopping.cancelled()).await;
    };
    for chunk in seats {
        pause().await;
        let heard = chunk
            .iter()
            .filter_map(|(agent, seat)| Some((*agent, seat.unflushed()?)));
        let heard: Vec<_> = heard.collect();
        if !heard.is_empty() {
            write(broker, RecordHeartbeats(heard)).await;
        }
    }
    for chunk in uses {
        pause().await;
        write(broker, RecordUses(chunk.to_vec())).await;
    }
    pause().await;
}

/// What cannot be written now is told of: the next round brings what is newer by then.
async fn write<M: Mutation>(broker: &Broker, what: M) {
    if let Err(error) = broker.change(audit::local(ActorRole::Broker), what).await {
        tracing::warn!(%error, "heartbeats or uses of keys could not be kept");
    }
}
