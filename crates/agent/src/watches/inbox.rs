use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use brokkr_core::ObjectKey;
use brokkr_core::plan::Live;
use tokio::sync::Notify;

/// What was seen of a stack's objects since its worker looked last: of each the newest, so that it stays as small as the
/// stack.
#[derive(Default)]
pub(crate) struct Inbox {
    seen: Mutex<Seen>,
    bell: Notify,
}

/// How an object was seen; none if it is gone.
pub(crate) type Seen = HashMap<ObjectKey, Option<Live>>;

impl Inbox {
    pub(super) fn put(&self, key: ObjectKey, live: Option<Live>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(key, live);
        drop(seen);
        self.bell.notify_one();
    }

    /// Waits until there is something.
    pub(crate) async fn rung(&self) {
        self.bell.notified().await;
    }

    /// All that was seen since the last time.
    pub(crate) fn take(&self) -> Seen {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
