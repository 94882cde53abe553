//! What happens to keys by themselves: first uses are recorded, behind the answer, and keys whose time is over end.

use std::sync::Arc;
use std::time::Duration;

use brokkr_core::KeyId;
use brokkr_core::wire::ActorRole;

use crate::Broker;
use crate::audit;
use crate::changes::keys::{EndKey, RecordFirstUse};
use crate::fleet::Freshness;

/// An open poll must hear of its key's end within a second.
const LOOK: Duration = Duration::from_millis(500);

/// Watches until the broker stops, and once more then.
pub(crate) async fn keep(broker: Arc<Broker>) {
    loop {
        let stopping = tokio::select! {
            () = broker.fleet.first_use.notified() => false,
            () = tokio::time::sleep(LOOK) => false,
            () = broker.stopping.cancelled() => true,
        };
        let ended = broker.fleet.ended_keys(broker.ambient.now());
        // Without the database nothing can be recorded; the next look finds the same.
        if broker.fleet.freshness() == Freshness::Fresh {
            record(&broker, ended).await;
        }
        if stopping {
            return;
        }
    }
}

async fn record(broker: &Broker, ended: Vec<KeyId>) {
    let itself = || audit::local(ActorRole::Broker);
    for (key, at) in broker.fleet.first_uses() {
        let first_use = RecordFirstUse { key, at };
        if let Err(error) = broker.change(itself(), first_use).await {
            tracing::warn!(%error, %key, "the first use of a key could not be recorded yet");
        }
    }
    for key in ended {
        if let Err(error) = broker.change(itself(), EndKey(key)).await {
            tracing::warn!(%error, %key, "a key whose time is over could not be ended yet");
        }
    }
}
