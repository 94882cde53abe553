//! Heartbeats, and when keys were used, lie in memory and reach the database in chunks, each agent's twice a minute.

use std::collections::HashMap;
use std::slice::Chunks;
use std::sync::Arc;
use std::time::Duration;

use brokkr_core::AgentId;
use brokkr_core::wire::ActorRole;
use uuid::Uuid;

use crate::Broker;
use crate::audit;
use crate::changes::heartbeats::RecordHeartbeats;
use crate::changes::keys::RecordUses;
use crate::fleet::Seat;
use crate::writer::Mutation;

const ROUND: Duration = Duration::from_secs(30);
/// The heartbeats of a large fleet are divided into so many chunks, and so are the uses of its keys: ten a second together, of which
/// none holds the writer for long.
const CHUNKS: usize = 150;
/// Fewer rows are not worth a commit of their own.
const LEAST: usize = 64;

/// Writes in rounds until the broker stops, and what is new once more then.
pub(crate) async fn keep(broker: Arc<Broker>) {
    let mut from = AgentId::from(Uuid::nil());
    while !broker.stopping.is_cancelled() {
        from = round(&broker, from).await;
    }
    round(&broker, from).await;
}

/// Writes all that is new, spread over the time of a round: a publish waits for a chunk at the most, and finds the cores
/// free after it. What cannot be written is new again in the next round, which begins there: nobody is always the last one.
async fn round(broker: &Broker, from: AgentId) -> AgentId {
    let (mut seats, mut uses) = (broker.fleet.seats(), broker.fleet.unflushed_uses());
    // Who was made at the same time lies together in the database: a chunk is to write few of its pages.
    seats.sort_unstable_by_key(|(agent, _)| agent.uuid());
    let before = seats.partition_point(|(agent, _)| agent.uuid() < from.uuid());
    seats.rotate_left(before);
    uses.sort_unstable_by_key(|(key, _)| key.uuid());
    let (seats, uses) = (chunks(&seats), chunks(&uses));
    let pauses = u32::try_from(1 + seats.len() + uses.len()).unwrap_or(u32::MAX);
    let (mut last_pause, mut next) = (ROUND / pauses, AgentId::from(Uuid::nil()));
    for chunk in seats {
        pause(broker, ROUND / pauses).await;
        if !write_heartbeats(broker, chunk).await {
            (last_pause, next) = (ROUND, chunk.first().map_or(next, |(agent, _)| *agent));
            break;
        }
    }
    for chunk in uses {
        pause(broker, ROUND / pauses).await;
        if !is_written(broker, RecordUses(chunk.to_vec())).await {
            last_pause = ROUND;
            break;
        }
        broker.fleet.flushed_uses(chunk);
    }
    pause(broker, last_pause).await;
    next
}

async fn write_heartbeats(broker: &Broker, seats: &[(AgentId, Arc<Seat>)]) -> bool {
    let new = |(agent, seat): &(AgentId, Arc<Seat>)| Some((*agent, seat.unflushed()?));
    let heard: Vec<_> = seats.iter().filter_map(new).collect();
    if heard.is_empty() {
        return true;
    }
    let is_written = is_written(broker, RecordHeartbeats(heard.clone())).await;
    if is_written {
        let seats: HashMap<_, _> = seats.iter().map(|(agent, seat)| (*agent, seat)).collect();
        for (agent, heartbeat) in heard {
            if let Some(seat) = seats.get(&agent) {
                seat.flushed(heartbeat);
            }
        }
    }
    is_written
}

/// A broker that stops waits no longer.
async fn pause(broker: &Broker, time: Duration) {
    let _ = tokio::time::timeout(time, broker.stopping.cancelled()).await;
}

fn chunks<T>(rows: &[T]) -> Chunks<'_, T> {
    rows.chunks(rows.len().div_ceil(CHUNKS).max(LEAST))
}

async fn is_written<M: Mutation>(broker: &Broker, what: M) -> bool {
    let written = broker.change(audit::local(ActorRole::Broker), what).await;
    if let Err(error) = &written {
        tracing::warn!(%error, "heartbeats or uses of keys could not be kept");
    }
    written.is_ok()
}
