use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use super::Room;
use crate::error::{Error, Result};

/// What a caller has under way is soon there, or given up.
const RETRY: Duration = Duration::from_secs(2);

/// What each caller has of a room, in bytes: one thing of any size, or half of the room. So none shuts all others out.
#[derive(Clone, Default)]
pub(super) struct Callers(Arc<Mutex<HashMap<Uuid, usize>>>);

impl Callers {
    /// What one more thing of a caller has, nothing so far.
    pub(super) fn one(&self, caller: Uuid) -> Share {
        Share {
            callers: self.clone(),
            caller,
            bytes: 0,
        }
    }

    fn map(&self) -> MutexGuard<'_, HashMap<Uuid, usize>> {
        // Nothing in here panics half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.map().is_empty()
    }
}

/// What one thing of a caller has, until this is dropped.
pub(super) struct Share {
    callers: Callers,
    caller: Uuid,
    bytes: usize,
}

impl Share {
    /// Takes so many bytes more, if the caller may have them of the room.
    pub(super) fn take(&mut self, more: usize, room: &Room) -> Result<()> {
        let mut callers = self.callers.map();
        let of_caller = callers.get(&self.caller).copied().unwrap_or_default();
        if of_caller > self.bytes && of_caller + more > room.size() / 2 {
            return Err(Error::TooMany {
                what: "this caller sends or reads as much at once as there is memory for"
                    .to_owned(),
                retry_after: RETRY,
            });
        }
        callers.insert(self.caller, of_caller + more);
        self.bytes += more;
        Ok(())
    }

    /// Takes what came beyond that, or gives some of it back.
    pub(super) fn come_to(&mut self, bytes: usize) {
        let mut callers = self.callers.map();
        let of_caller = callers.entry(self.caller).or_default();
        *of_caller = of_caller.saturating_sub(self.bytes) + bytes;
        self.bytes = bytes;
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut callers = self.callers.map();
        if let Some(of_caller) = callers.get_mut(&self.caller) {
            *of_caller = of_caller.saturating_sub(self.bytes);
            if *of_caller == 0 {
                callers.remove(&self.caller);
            }
        }
    }
}
