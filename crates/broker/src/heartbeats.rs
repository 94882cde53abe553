//! Heartbeats, and when keys were used, lie in memory and reach the database in chunks, each agent's twice a minute.

use std::slice::Chunks;
use std::sync::Arc;
use std::time::Duration;

use brokkr_core::wire::ActorRole;

use crate::Broker;
use crate::audit;
use crate::changes::heartbeats::RecordHeartbeats;
use crate::changes::keys::RecordUses;
use crate::error::Result;
use crate::writer::Mutation;

const ROUND: Duration = Duration::from_secs(30);
/// The heartbeats of a large fleet are divided into so many chunks, and so are the uses of its keys: ten a second together, of which
/// none holds the writer for long.
const CHUNKS: usize = 150;
/// Fewer rows are not worth a commit of their own.
const LEAST: usize = 64;

/// Writes in rounds until the broker stops, and what is new once more then.
pub(crate) async fn keep(broker: Arc<Broker>) {
    while !broker.stopping.is_cancelled() {
        round(&broker).await;
    }
    round(&broker).await;
}

/// Writes all that is new, or as much as can be written: the next round brings the rest, and what is newer by then.
async fn round(broker: &Broker) {
    if let Err(error) = write_all(broker).await {
        tracing::warn!(%error, "heartbeats or uses of keys could not be kept");
        pause(broker, ROUND).await;
    }
}

/// Writes all that is new, spread over the time of a round: a publish waits for a chunk at the most, and finds the cores
/// free after it.
async fn write_all(broker: &Broker) -> Result<()> {
    let (mut seats, mut uses) = (broker.fleet.seats(), broker.fleet.unflushed_uses());
    // Who was made at the same time lies together in the database: a chunk is to write few of its pages.
    seats.sort_unstable_by_key(|(agent, _)| agent.uuid());
    uses.sort_unstable_by_key(|(key, _)| key.uuid());
    let (seats, uses) = (chunks(&seats), chunks(&uses));
    let pauses = u32::try_from(1 + seats.len() + uses.len()).unwrap_or(u32::MAX);
    let each = ROUND / pauses;
    for chunk in seats {
        pause(broker, each).await;
        let heard = chunk
            .iter()
            .filter_map(|(agent, seat)| Some((*agent, seat.unflushed()?)));
        let heard: Vec<_> = heard.collect();
        if !heard.is_empty() {
            write(broker, RecordHeartbeats(heard)).await?;
        }
    }
    for chunk in uses {
        pause(broker, each).await;
        write(broker, RecordUses(chunk.to_vec())).await?;
    }
    pause(broker, each).await;
    Ok(())
}

/// A broker that stops waits no longer.
async fn pause(broker: &Broker, time: Duration) {
    let _ = tokio::time::timeout(time, broker.stopping.cancelled()).await;
}

fn chunks<T>(rows: &[T]) -> Chunks<'_, T> {
    rows.chunks(rows.len().div_ceil(CHUNKS).max(LEAST))
}

async fn write<M: Mutation>(broker: &Broker, what: M) -> Result<M::Output> {
    let itself = audit::local(ActorRole::Broker);
    broker.change(itself, what).await
}
