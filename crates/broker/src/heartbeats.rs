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
    let (mut heartbeats, mut uses) = (Turn::default(), Turn::default());
    while !broker.stopping.is_cancelled() {
        round(&broker, &mut heartbeats, &mut uses).await;
    }
    round(&broker, &mut heartbeats, &mut uses).await;
}

/// Where the next round begins: after what could not be written in the last one, or from the beginning. So nobody is always the last one, and
/// what can never be written keeps nobody waiting.
#[derive(Debug, Default)]
struct Turn(Uuid);

impl Turn {
    /// Rows in the order in which they are written. Who was made at the same time lies together in the database: a chunk is to write few
    /// of its pages.
    fn arrange<T>(&mut self, rows: &mut [T], id: impl Fn(&T) -> Uuid) {
        let Self(from) = std::mem::take(self);
        rows.sort_unstable_by_key(&id);
        let before = rows.partition_point(|row| id(row) <= from);
        rows.rotate_left(before);
    }

    /// What ends with this row could not be written.
    const fn failed_at(&mut self, last: Uuid) {
        self.0 = last;
    }
}

/// Writes all that is new, spread over the time of a round: a publish waits for a chunk at the most, and finds the cores
/// free after it. What cannot be written is new again in the next round.
async fn round(broker: &Broker, of_heartbeats: &mut Turn, of_uses: &mut Turn) {
    let (mut seats, mut uses) = (broker.fleet.seats(), broker.fleet.unflushed_uses());
    of_heartbeats.arrange(&mut seats, |(agent, _)| agent.uuid());
    of_uses.arrange(&mut uses, |(key, _)| key.uuid());
    let (seats, uses) = (chunks(&seats), chunks(&uses));
    let pauses = u32::try_from(1 + seats.len() + uses.len()).unwrap_or(u32::MAX);
    let mut last_pause = ROUND / pauses;
    for chunk in seats {
        pause(broker, ROUND / pauses).await;
        if !write_heartbeats(broker, chunk).await {
            of_heartbeats.failed_at(chunk[chunk.len() - 1].0.uuid());
            last_pause = ROUND;
            break;
        }
    }
    for chunk in uses {
        pause(broker, ROUND / pauses).await;
        if !is_written(broker, RecordUses(chunk.to_vec())).await {
            of_uses.failed_at(chunk[chunk.len() - 1].0.uuid());
            last_pause = ROUND;
            break;
        }
        broker.fleet.flushed_uses(chunk);
    }
    pause(broker, last_pause).await;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn arranged(turn: &mut Turn) -> Vec<u128> {
        let mut rows: Vec<_> = [3, 1, 4, 2].map(Uuid::from_u128).into();
        turn.arrange(&mut rows, |id| *id);
        rows.iter().map(Uuid::as_u128).collect()
    }

    #[test]
    fn a_round_begins_after_what_the_last_one_failed_at() {
        let mut turn = Turn::default();
        assert_eq!(arranged(&mut turn), [1, 2, 3, 4]);
        turn.failed_at(Uuid::from_u128(2));
        assert_eq!(arranged(&mut turn), [3, 4, 1, 2], "and leaves nobody out");
        assert_eq!(arranged(&mut turn), [1, 2, 3, 4]);
        // Who it failed at is not there any more.
        turn.failed_at(Uuid::from_u128(5));
        assert_eq!(arranged(&mut turn), [1, 2, 3, 4]);
    }

    #[test]
    fn a_large_fleet_is_written_in_small_pieces() {
        for (rows, least, most) in [(0, 0, 0), (1, 1, 1), (640, 10, 10), (10_000, 140, 150)] {
            let found = chunks(&vec![(); rows]).len();
            assert!((least..=most).contains(&found), "{rows}: {found}");
        }
    }
}
