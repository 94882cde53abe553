use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// In what a room is counted, in bytes.
pub(super) const UNIT: usize = 1024;

/// Memory that many share: who needs some of it takes it first. One that needs more than all of it has it alone.
#[derive(Clone)]
pub(crate) struct Room {
    units: u32,
    free: Arc<Semaphore>,
}

/// A part of a room, until it is dropped.
#[derive(Debug)]
pub(crate) struct Taken(OwnedSemaphorePermit);

impl Taken {
    /// Makes one of two parts of the same room.
    pub(crate) fn join(&mut self, other: Self) {
        self.0.merge(other.0);
    }
}

impl Room {
    /// A room of so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX).max(1);
        Self {
            units,
            free: Arc::new(Semaphore::new(units as usize)),
        }
    }

    /// How many bytes there are in all.
    pub(crate) const fn size(&self) -> usize {
        self.units as usize * UNIT
    }

    /// How many bytes are taken.
    pub(crate) fn taken(&self) -> usize {
        self.size() - self.free.available_permits() * UNIT
    }

    /// Whether so many bytes are ever free.
    pub(crate) const fn fits(&self, bytes: usize) -> bool {
        bytes <= self.size()
    }

    /// Takes so many bytes, if they are free.
    pub(crate) fn take(&self, bytes: usize) -> Option<Taken> {
        let free = Arc::clone(&self.free);
        free.try_acquire_many_owned(self.units(bytes))
            .ok()
            .map(Taken)
    }

    /// Takes so many bytes once they are free, in the order of those who wait.
    pub(crate) async fn wait(&self, bytes: usize) -> Option<Taken> {
        let free = Arc::clone(&self.free);
        free.acquire_many_owned(self.units(bytes))
            .await
            .ok()
            .map(Taken)
    }

    fn units(&self, bytes: usize) -> u32 {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        units.min(self.units)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn a_full_room_gives_nothing_more_until_something_is_given_back() {
        let room = Room::new(10 * UNIT);
        let first = room.take(8 * UNIT + 1).expect("it is empty");
        assert_eq!(room.taken(), 9 * UNIT);
        assert!(room.take(UNIT + 1).is_none());
        let second = room.take(UNIT);
        assert!(second.is_some(), "what was refused takes up nothing");
        drop(first);
        assert!(room.take(8 * UNIT).is_some());
    }

    #[test]
    fn what_is_larger_than_the_room_has_it_alone() {
        let room = Room::new(10 * UNIT);
        let alone = room.take(11 * UNIT);
        assert!(alone.is_some());
        assert!(room.take(1).is_none());
        assert!(room.wait(1).now_or_never().is_none());
        drop(alone);
        assert!(room.wait(1).now_or_never().is_some());
    }
}
