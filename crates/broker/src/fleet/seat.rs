use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use brokkr_core::wire::TargetState;
use data_encoding::HEXLOWER;
use http::HeaderValue;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::token::StateToken;
use crate::store::agents::Heartbeat;

/// Names a target state: equal states have equal tags at every replica.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Etag([u8; 16]);

impl Etag {
    /// The tag of a state: of what the agent should do, not of when or how it is told.
    pub(crate) fn of(state: &TargetState) -> Self {
        let told = (
            &state.epoch,
            &state.succeeds,
            &state.agent,
            &state.stacks,
            &state.removals,
            &state.conditional_removals,
        );
        let hash = Sha256::digest(serde_json::to_vec(&told).unwrap_or_default());
        let mut tag = [0; 16];
        tag.copy_from_slice(&hash[..16]);
        Self(tag)
    }

    /// As it stands in the `ETag` header.
    pub(crate) fn header(self) -> HeaderValue {
        let mut text = [b'"'; 34];
        HEXLOWER.encode_mut(&self.0, &mut text[1..33]);
        HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static(""))
    }

    /// The tag of an `If-None-Match` header, if it is one of ours. A list of several is answered in full,
    /// which is always right.
    pub(crate) fn read(header: &HeaderValue) -> Option<Self> {
        let text = header.as_bytes();
        let text = text.strip_prefix(b"W/").unwrap_or(text);
        let hex = text.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        let mut tag = [0; 16];
        let is_tag = hex.len() == 32 && HEXLOWER.decode_mut(hex, &mut tag) == Ok(16);
        is_tag.then_some(Self(tag))
    }
}

/// Where one agent's polls wait, and when the last one came.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    etag: Mutex<Option<Etag>>,
    /// The token that the agent returned last and that was found to be of this history.
    known: Mutex<Option<StateToken>>,
    changed: Notify,
    seen_micros: AtomicI64,
    interval_seconds: AtomicU64,
    flushed_micros: AtomicI64,
}

impl Seat {
    /// The tag, if the state has not changed since it was computed.
    pub(super) fn etag(&self) -> Option<Etag> {
        *self.kept()
    }

    /// The tag, computed only if the state changed since the last time.
    pub(super) fn etag_or(&self, compute: impl FnOnce() -> Etag) -> Etag {
        *self.kept().get_or_insert_with(compute)
    }

    fn kept(&self) -> MutexGuard<'_, Option<Etag>> {
        self.etag.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn invalidate(&self) {
        *self.kept() = None;
    }

    /// Whether a token was found to be of this history.
    pub(super) fn is_known(&self, token: &StateToken) -> bool {
        self.known().as_ref() == Some(token)
    }

    pub(super) fn know(&self, token: StateToken) {
        *self.known() = Some(token);
    }

    /// All that was found is to be looked for again: the history may be another one.
    pub(super) fn forget(&self) {
        *self.known() = None;
    }

    fn known(&self) -> MutexGuard<'_, Option<StateToken>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wake(&self) {
        self.changed.notify_waiters();
    }

    /// Resolves at the next change. Enable it before reading the tag, or a change in between is missed.
    pub(crate) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Notes that the agent polled.
    pub(crate) fn beat(&self, now: Timestamp, interval_seconds: u64) {
        self.interval_seconds
            .store(interval_seconds, Ordering::Relaxed);
        self.seen_micros
            .fetch_max(now.as_microsecond(), Ordering::Relaxed);
    }

    /// The last poll that this replica saw; none since it started.
    pub(crate) fn heartbeat(&self) -> Option<Heartbeat> {
        let at = Timestamp::from_microsecond(self.seen_micros.load(Ordering::Relaxed)).ok()?;
        let interval_seconds = self.interval_seconds.load(Ordering::Relaxed);
        (at != Timestamp::UNIX_EPOCH).then_some(Heartbeat {
            at,
            interval_seconds,
        })
    }

    /// The last poll, if it was not written yet.
    pub(crate) fn unflushed(&self) -> Option<Heartbeat> {
        let heartbeat = self.heartbeat()?;
        let flushed = self.flushed_micros.load(Ordering::Relaxed);
        (flushed != heartbeat.at.as_microsecond()).then_some(heartbeat)
    }

    /// Notes that this one was written.
    pub(crate) fn flushed(&self, heartbeat: Heartbeat) {
        self.flushed_micros
            .store(heartbeat.at.as_microsecond(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_read_as_it_is_written() {
        let tag = Etag([7; 16]);
        assert_eq!(Etag::read(&tag.header()), Some(tag));
        let written = tag.header();
        let written = written.to_str().expect("text");
        let weak = HeaderValue::try_from(format!("W/{written}")).expect("a header");
        assert_eq!(Etag::read(&weak), Some(tag));
        for other in [
            "",
            "*",
            "\"\"",
            "abc",
            &written[1..],
            &format!("{written}, {written}"),
        ] {
            let other = HeaderValue::try_from(other).expect("a header");
            assert_eq!(Etag::read(&other), None, "{other:?}");
        }
    }
}
