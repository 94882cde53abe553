//! What one caller may cost: everything is bounded, and who is refused is told when to come again.
//!
//! A flood of bad keys is answered cheaply and hurts nobody else: a good key is never counted against its
//! address, which it may share with a whole company.

mod addresses;
mod bucket;
mod forwarded;
mod keys;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use brokkr_core::KeyId;
use http::Request;
use ipnet::IpNet;
use tokio::time::Instant;

use crate::error::{Error, Result};
use crate::memory::Memory;
use addresses::Addresses;
use bucket::Rate;
use keys::Keys;
pub(crate) use keys::{Permit, Permitted};

/// What a broker bears.
#[derive(Debug, Clone)]
pub struct LimitSettings {
    /// How many connections at once.
    pub connections: usize,
    /// How many requests of one key a second in the long run, polls not counted.
    pub key_rate: u32,
    /// How much memory.
    pub memory: Memory,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
}

impl LimitSettings {
    /// How many requests of one key a second, unless another number is given.
    pub const KEY_RATE: u32 = 1_000;
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            connections: 10_000,
            key_rate: Self::KEY_RATE,
            memory: Memory::default(),
            trusted_proxies: Vec::new(),
        }
    }
}

/// A burst is what comes in so many seconds at the usual rate.
const BURST_SECONDS: u32 = 5;
/// A person who mistypes, and a fleet whose key was revoked, stay below it.
const BAD_KEYS_PER_SECOND: u32 = 5;
const BAD_KEYS_AT_ONCE: u32 = 100;
/// What is under way ends soon, or is a poll and does not.
const AT_ONCE_RETRY: Duration = Duration::from_secs(2);

/// The other end of a connection, as the listener sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// What counts apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    Poll,
    Watch,
}

/// Why a key must wait.
#[derive(Debug)]
enum Refused {
    TooSoon(Duration),
    AtOnce(u32),
}

/// The limits of a broker, and what is known of those who are near them.
pub(crate) struct Limits {
    start: Instant,
    trusted_proxies: Vec<IpNet>,
    addresses: Mutex<Addresses>,
    keys: Arc<Keys>,
}

impl Limits {
    pub(crate) fn new(settings: &LimitSettings) -> Self {
        let key_burst = settings.key_rate.saturating_mul(BURST_SECONDS);
        let bad_keys = Rate::new(BAD_KEYS_PER_SECOND, BAD_KEYS_AT_ONCE);
        Self {
            start: Instant::now(),
            trusted_proxies: settings.trusted_proxies.clone(),
            addresses: Mutex::new(Addresses::new(bad_keys)),
            keys: Arc::new(Keys::new(Rate::new(settings.key_rate, key_burst))),
        }
    }

    /// Where a request comes from, behind the proxies that are trusted.
    pub(crate) fn address<B>(&self, request: &Request<B>) -> IpAddr {
        let peer = request.extensions().get();
        let Peer(peer) = *peer.unwrap_or(&Peer(Ipv4Addr::UNSPECIFIED.into()));
        forwarded::client(peer, request.headers(), &self.trusted_proxies)
    }

    /// How a request without a good key is refused.
    pub(crate) fn bad_key<B>(&self, request: &Request<B>) -> Error {
        let client = self.address(request);
        let mut addresses = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match addresses.note(client, self.start.elapsed()) {
            Ok(()) => Error::Unauthenticated,
            Err(retry_after) => Error::TooMany {
                what: "too many requests without a good key come from this address".to_owned(),
                retry_after,
            },
        }
    }

    /// Leave for a request of a good key.
    pub(crate) fn permit(&self, key: KeyId, kind: Kind) -> Result<Permit> {
        self.keys
            .permit(key, kind, self.start.elapsed())
            .map_err(|refused| match refused {
                Refused::TooSoon(retry_after) => Error::TooMany {
                    what: "this key sends too many requests".to_owned(),
                    retry_after,
                },
                Refused::AtOnce(most) => Error::TooMany {
                    what: format!("this key has {most} requests of this kind under way"),
                    retry_after: AT_ONCE_RETRY,
                },
            })
    }
}
