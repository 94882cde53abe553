use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;
use uuid::Uuid;

use super::callers::{Callers, Share};
use super::room::UNIT;
use super::{Room, Taken};
use crate::error::{Error, Result};

/// A smaller body lies in what a connection has in any case.
const SMALL: usize = 16 * 1024;
/// A body is there twice: as it comes, and as what is made of it.
const COPIES: usize = 2;
/// So many bytes more are taken at once, where there are as many.
const PIECE: usize = 64 * 1024;
/// How long a body waits for the room that it lacks, if no other one does.
const PATIENCE: Duration = Duration::from_secs(5);

/// Memory for the bodies of many requests.
#[derive(Clone)]
pub(crate) struct Bodies {
    pub(crate) room: Room,
    largest: Largest,
    /// One that has come far waits for the others to end, and does not lose to each that comes.
    waiting: Arc<Semaphore>,
    callers: Callers,
}

/// What becomes of a body that is larger than the whole room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Largest {
    /// It has the room alone: who sends it cannot send it in parts.
    Alone,
    /// It is refused.
    Refused,
}

impl Bodies {
    pub(crate) fn new(room: Room, largest: Largest) -> Self {
        Self {
            room,
            largest,
            waiting: Arc::new(Semaphore::new(1)),
            callers: Callers::default(),
        }
    }

    /// Memory for one more body of a caller, nothing of it so far.
    pub(crate) fn one(&self, caller: Uuid) -> BodyRoom {
        BodyRoom {
            bodies: self.clone(),
            held: Mutex::new((self.callers.one(caller), None)),
        }
    }

    /// So many bytes of the room, or more if there are more.
    async fn take(&self, least: usize, wished: usize) -> Result<(usize, Taken)> {
        for bytes in [wished, least] {
            if let Some(taken) = self.room.take(bytes) {
                return Ok((bytes, taken));
            }
        }
        let full = || {
            Error::Unavailable(
                "the broker reads as many requests as it has memory for; repeat the request"
                    .to_owned(),
            )
        };
        let _place = self.waiting.try_acquire().map_err(|_| full())?;
        let taken = timeout(PATIENCE, self.room.wait(least)).await;
        let taken = taken.ok().flatten().ok_or_else(full)?;
        Ok((least, taken))
    }
}

/// The memory of one request's body: taken as it comes, until this is dropped. What is said to come and does not takes up nothing.
pub(crate) struct BodyRoom {
    bodies: Bodies,
    held: Mutex<(Share, Option<Taken>)>,
}

impl BodyRoom {
    /// Refuses a body of which it is known that there is never room for it.
    pub(crate) fn expect(&self, bytes: usize) -> Result<()> {
        let Bodies { room, largest, .. } = &self.bodies;
        if *largest == Largest::Alone || room.fits(bytes.saturating_mul(COPIES)) {
            return Ok(());
        }
        Err(Error::TooLarge(format!(
            "this broker has memory for a body of {} bytes: send less at once, or give the broker more (--memory)",
            room.size() / COPIES
        )))
    }

    /// Takes what a body of so many bytes needs, as far as it was not taken yet. It waits a little if there is not so much.
    pub(crate) async fn hold(&self, bytes: usize) -> Result<()> {
        if bytes <= SMALL {
            return Ok(());
        }
        self.expect(bytes)?;
        let room = &self.bodies.room;
        // The room gives whole units.
        let needed = bytes.saturating_mul(COPIES).min(room.size());
        let needed = needed.next_multiple_of(UNIT);
        let held = self.held().0.bytes();
        if needed <= held {
            return Ok(());
        }
        let least = needed - held;
        self.held().0.take(least, room)?;
        let wished = least.max(PIECE).min(room.size() - held);
        let found = self.bodies.take(least, wished).await;
        let (share, part) = &mut *self.held();
        match found {
            Ok((more, taken)) => {
                share.come_to(held + more);
                match part {
                    Some(part) => part.join(taken),
                    None => *part = Some(taken),
                }
                Ok(())
            }
            Err(error) => {
                share.come_to(held);
                Err(error)
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, (Share, Option<Taken>)> {
        // Nothing in here panics half-way.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    const MIB: usize = 1024 * 1024;

    fn bodies(largest: Largest) -> Bodies {
        Bodies::new(Room::new(8 * MIB), largest)
    }

    /// What becomes of it at once; it may have to wait.
    fn hold(body: &BodyRoom, bytes: usize) -> Option<Result<()>> {
        body.hold(bytes).now_or_never()
    }

    fn has(body: &BodyRoom, bytes: usize) -> bool {
        matches!(hold(body, bytes), Some(Ok(())))
    }

    #[test]
    fn a_body_takes_what_came_of_it_and_gives_all_back() {
        let bodies = bodies(Largest::Refused);
        let body = bodies.one(Uuid::nil());
        for (came, taken) in [(0, 0), (SMALL, 0), (SMALL + 1, 32), (MIB, 2048)] {
            assert!(has(&body, came));
            let least = taken * 1024;
            let found = bodies.room.taken();
            assert!((least..=least + PIECE).contains(&found), "{came}: {found}");
        }
        drop(body);
        assert_eq!(bodies.room.taken(), 0);
        assert!(bodies.callers.is_empty());
    }

    #[test]
    fn a_body_that_fits_gets_in_however_it_comes() {
        for step in [1, 7, 1_023, 8_191, 65_536].map(|odd| 8_000 + odd) {
            for (largest, whole) in [(Largest::Refused, 4 * MIB), (Largest::Alone, 9 * MIB)] {
                let bodies = bodies(largest);
                let body = bodies.one(Uuid::nil());
                for came in (1..whole).step_by(step).chain([whole]) {
                    assert!(has(&body, came), "{largest:?}: {came} in steps of {step}");
                }
                assert_eq!(bodies.room.taken(), bodies.room.size());
            }
        }
    }

    #[test]
    fn a_caller_shuts_no_other_out() {
        let bodies = bodies(Largest::Refused);
        let caller = Uuid::from_u128(1);
        let all: Vec<_> = (0..10).map(|_| bodies.one(caller)).collect();
        let held = all.iter().filter(|body| has(body, MIB)).count();
        assert_eq!(held, 2, "half of the room");
        let refused = hold(&all[9], MIB);
        assert!(matches!(refused, Some(Err(Error::TooMany { .. }))));
        let other = bodies.one(Uuid::from_u128(2));
        assert!(has(&other, 2 * MIB));
        drop(all);
        assert!(has(&bodies.one(caller), MIB * 3 / 2));
    }

    #[tokio::test]
    async fn one_that_lacks_room_waits_for_it_and_others_do_not() {
        let bodies = bodies(Largest::Refused);
        let [first, second, third] = [1, 2, 3].map(|caller| bodies.one(Uuid::from_u128(caller)));
        assert!(has(&first, 3 * MIB));
        let mut waits = Box::pin(second.hold(2 * MIB));
        assert!((&mut waits).now_or_never().is_none());
        let refused = hold(&third, 2 * MIB);
        assert!(matches!(refused, Some(Err(Error::Unavailable(_)))));
        drop(first);
        assert!(waits.await.is_ok());
    }

    #[tokio::test]
    async fn what_can_never_fit_is_refused_or_has_the_room_alone() {
        let refused = hold(&bodies(Largest::Refused).one(Uuid::nil()), 5 * MIB);
        assert!(matches!(refused, Some(Err(Error::TooLarge(_)))));
        let bodies = bodies(Largest::Alone);
        let alone = bodies.one(Uuid::nil());
        assert!(has(&alone, 5 * MIB));
        assert!(has(&alone, 9 * MIB));
        assert_eq!(bodies.room.taken(), bodies.room.size());
        assert!(!has(&bodies.one(Uuid::from_u128(1)), MIB));
    }
}
