//! Connections that are neither closed nor of any use.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// How PostgreSQL is asked to notify.
const LISTEN: &[u8] = b"LISTEN ";

/// What all connections through a proxy share.
#[derive(Default)]
pub(super) struct Line {
    frozen: watch::Sender<bool>,
    wires: Mutex<Vec<Arc<Wire>>>,
}

/// One connection.
pub(super) struct Wire {
    frozen: watch::Receiver<bool>,
    forgotten: watch::Sender<bool>,
    listens: AtomicBool,
}

impl Line {
    pub(super) fn freeze(&self) {
        self.frozen.send_replace(true);
    }

    pub(super) fn thaw(&self) {
        self.frozen.send_replace(false);
    }

    /// A new connection.
    pub(super) fn wire(&self) -> Arc<Wire> {
        let wire = Arc::new(Wire {
            frozen: self.frozen.subscribe(),
            forgotten: watch::Sender::new(false),
            listens: AtomicBool::new(false),
        });
        let mut wires = self.wires.lock().unwrap_or_else(PoisonError::into_inner);
        wires.retain(|wire| Arc::strong_count(wire) > 1);
        wires.push(Arc::clone(&wire));
        wire
    }

    /// Lets nothing pass any more on some connections. Answers how many those are.
    pub(super) fn forget(&self, which: impl Fn(&Wire) -> bool) -> usize {
        let wires = self.wires.lock().unwrap_or_else(PoisonError::into_inner);
        let open = wires.iter().filter(|wire| Arc::strong_count(wire) > 1);
        let mut count = 0;
        for wire in open.filter(|wire| which(wire)) {
            if !wire.forgotten.send_replace(true) {
                count += 1;
            }
        }
        count
    }
}

impl Wire {
    /// Looks at what is asked.
    pub(super) fn hears(&self, piece: &[u8]) {
        if piece.windows(LISTEN.len()).any(|window| window == LISTEN) {
            self.listens.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn listens(&self) -> bool {
        self.listens.load(Ordering::Relaxed)
    }

    /// Waits until a piece may pass, which may be never.
    pub(super) async fn passes(&self) {
        // At the proxy's end, its connections end too.
        let _ = self.frozen.clone().wait_for(|frozen| !frozen).await;
        let _ = self
            .forgotten
            .subscribe()
            .wait_for(|forgotten| !forgotten)
            .await;
    }
}
