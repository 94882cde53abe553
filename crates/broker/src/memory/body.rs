use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brokkr_core::KeyId;

use super::{Room, Taken};
use crate::error::{Error, Result};

/// A smaller body lies in what a connection has in any case.
const SMALL: usize = 64 * 1024;
/// A body is there twice: as it comes, and as what is made of it.
const COPIES: usize = 2;
/// So many bytes more are taken at once at the least.
const PIECE: usize = 128 * 1024;
/// What else a key sends is soon there, or given up.
const RETRY: Duration = Duration::from_secs(2);

/// Memory for the bodies of many requests.
#[derive(Clone)]
pub(crate) struct Bodies {
    pub(crate) room: Room,
    largest: Largest,
    keys: Arc<Mutex<HashMap<KeyId, usize>>>,
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
            keys: Arc::default(),
        }
    }

    /// Memory for one more body, nothing of it so far.
    pub(crate) fn one(&self, key: KeyId) -> BodyRoom {
        BodyRoom {
            bodies: self.clone(),
            key,
            taken: Mutex::new((0, None)),
        }
    }

    /// What each key has in all.
    fn keys(&self) -> MutexGuard<'_, HashMap<KeyId, usize>> {
        // Nothing in here panics half-way.
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The memory of one request's body: taken as it comes, until this is dropped. What is said to come and does not takes up nothing.
pub(crate) struct BodyRoom {
    bodies: Bodies,
    key: KeyId,
    taken: Mutex<(usize, Option<Taken>)>,
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

    /// Takes what a body of so many bytes needs, as far as it was not taken yet.
    pub(crate) fn hold(&self, bytes: usize) -> Result<()> {
        if bytes <= SMALL {
            return Ok(());
        }
        self.expect(bytes)?;
        let room = &self.bodies.room;
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (held, part) = &mut *taken;
        let needed = bytes.saturating_mul(COPIES).min(room.size());
        if needed <= *held {
            return Ok(());
        }
        let more = (needed - *held).max(PIECE).min(room.size() - *held);
        let mut keys = self.bodies.keys();
        let of_key = keys.entry(self.key).or_default();
        // Whatever else it sends, a key has one body at a time, or half of the room.
        if *of_key > *held && *of_key + more > room.size() / 2 {
            return Err(Error::TooMany {
                what: "this key sends as much at once as there is memory for".to_owned(),
                retry_after: RETRY,
            });
        }
        let new = room.take(more).ok_or_else(|| {
            Error::Unavailable(
                "the broker reads as many requests as it has memory for; repeat the request"
                    .to_owned(),
            )
        })?;
        match part {
            Some(part) => part.join(new),
            None => *part = Some(new),
        }
        *held += more;
        *of_key += more;
        Ok(())
    }
}

impl Drop for BodyRoom {
    fn drop(&mut self) {
        let (bytes, _) = *self.taken.get_mut().unwrap_or_else(PoisonError::into_inner);
        if bytes == 0 {
            return;
        }
        let mut keys = self.bodies.keys();
        if let Some(of_key) = keys.get_mut(&self.key) {
            *of_key -= bytes;
            if *of_key == 0 {
                keys.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::ambient::System;

    use super::*;

    const MIB: usize = 1024 * 1024;

    fn bodies(largest: Largest) -> Bodies {
        Bodies::new(Room::new(8 * MIB), largest)
    }

    #[test]
    fn a_body_takes_what_came_of_it_and_gives_all_back() {
        let bodies = bodies(Largest::Refused);
        let body = bodies.one(KeyId::generate(&System));
        for (came, taken) in [(0, 0), (SMALL, 0), (SMALL + 1, 128), (MIB, 2048)] {
            body.hold(came).expect("room");
            let least = taken * 1024;
            let found = bodies.room.taken();
            assert!((least..=least + PIECE).contains(&found), "{came}: {found}");
        }
        drop(body);
        assert_eq!(bodies.room.taken(), 0);
        assert!(bodies.keys().is_empty());
    }

    #[test]
    fn a_key_shuts_no_other_out() {
        let bodies = bodies(Largest::Refused);
        let key = KeyId::generate(&System);
        let all: Vec<_> = (0..10).map(|_| bodies.one(key)).collect();
        let held = all.iter().filter(|body| body.hold(MIB).is_ok()).count();
        assert_eq!(held, 2, "half of the room");
        let refused = all[9].hold(MIB);
        assert!(matches!(refused, Err(Error::TooMany { .. })));
        let other = bodies.one(KeyId::generate(&System));
        assert!(other.hold(2 * MIB).is_ok());
        let third = bodies.one(KeyId::generate(&System)).hold(MIB);
        assert!(matches!(third, Err(Error::Unavailable(_))));
        drop(all);
        let large = bodies.one(key).hold(MIB * 3 / 2);
        assert!(large.is_ok(), "{large:?}");
    }

    #[test]
    fn what_can_never_fit_is_refused_or_has_the_room_alone() {
        let key = KeyId::generate(&System);
        let refused = bodies(Largest::Refused).one(key).hold(5 * MIB);
        assert!(matches!(refused, Err(Error::TooLarge(_))));
        let bodies = bodies(Largest::Alone);
        let alone = bodies.one(key);
        assert!(alone.hold(5 * MIB).is_ok());
        assert!(alone.hold(9 * MIB).is_ok());
        assert_eq!(bodies.room.taken(), bodies.room.size());
        assert!(bodies.one(KeyId::generate(&System)).hold(MIB).is_err());
    }
}
