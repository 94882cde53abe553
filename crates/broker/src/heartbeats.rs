//! Heartbeats, and when keys were used, lie in memory and reach the database in chunks, twice a minute.

use brokkr_core::wire::ActorRole;
use std::sync::Arc;
use std::time::Duration;

use crate::Broker;
use crate::audit;
use crate::changes::heartbeats::RecordHeartbeats;
use crate::changes::keys::RecordUses;

const FLUSH: Duration = Duration::from_secs(30);
/// So many rows hold the writer for a few milliseconds.
const CHUNK: usize = 512;

/// Flushes until the broker stops, and once more then.
pub(crate) async fn keep(broker: Arc<Broker>) {
    loop {
        let stopping = tokio::select! {
            () = tokio::time::sleep(FLUSH) => false,
            () = broker.stopping.cancelled() => true,
        };
        flush(&broker).await;
        if stopping {
            return;
        }
    }
}

async fn flush(broker: &Broker) {
    let seats = broker.fleet.seats();
    let heard: Vec<_> = seats
        .into_iter()
        .filter_map(|(agent, seat)| seat.unflushed().map(|heartbeat| (agent, heartbeat)))
        .collect();
    for chunk in heard.chunks(CHUNK) {
        if let Err(error) = broker
            .change(
                audit::local(ActorRole::Broker),
                RecordHeartbeats(chunk.to_vec()),
            )
            .await
        {
            tracing::warn!(%error, "heartbeats could not be kept");
        }
    }
    for chunk in broker.fleet.unflushed_uses().chunks(CHUNK) {
        if let Err(error) = broker
            .change(audit::local(ActorRole::Broker), RecordUses(chunk.to_vec()))
            .await
        {
            tracing::warn!(%error, "when keys were used could not be kept");
        }
    }
}
