//! How long and how large a request may be before anybody looks at what it says.

use std::error::Error as StdError;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use http::Request;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use crate::error::{Error, Result};

/// How large the head of a request may be.
const HEAD_BYTES: usize = 64 * 1024;
/// How long its address may be.
const URI_BYTES: usize = 8 * 1024;
/// What is read before a head that does not end is given up: enough to say what is too long.
pub(super) const BUFFER: usize = HEAD_BYTES + 2 * URI_BYTES;
/// How long the head may take.
pub(super) const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a body may take, whatever its size, and how long nothing of it may come.
const BODY_TIME: Duration = Duration::from_secs(20);
/// What must come in each second after that.
const BODY_RATE: u64 = 16 * 1024;
/// How long the rest of a body is, in bytes, that is taken though nobody reads it. A client that is refused before it has sent all goes
/// on sending, and if the connection ends meanwhile, it may never see why.
const UNREAD: u64 = 64 * 1024 * 1024;
/// How long that may take in all, and how soon there must be more of it.
const UNREAD_TIME: Duration = Duration::from_secs(10);
const UNREAD_PAUSE: Duration = Duration::from_secs(1);

/// Refuses a head that is too large.
pub(super) fn check<B>(request: &Request<B>) -> Result<()> {
    if request
        .uri()
        .path_and_query()
        .map_or(0, |path| path.as_str().len())
        > URI_BYTES
    {
        return Err(Error::UriTooLong(URI_BYTES));
    }
    let headers = request.headers().iter();
    // A colon, a space and the end of the line.
    let bytes: usize = headers
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if bytes > HEAD_BYTES {
        return Err(Error::HeadTooLarge(HEAD_BYTES));
    }
    Ok(())
}

/// A body that comes too slowly to be waited for.
#[derive(Debug, thiserror::Error)]
#[error("the body comes too slowly")]
pub(crate) struct TooSlow;

impl TooSlow {
    /// Whether this is why a body broke off.
    pub(crate) fn is_cause_of(error: &(dyn StdError + 'static)) -> bool {
        error.is::<Self>() || error.source().is_some_and(Self::is_cause_of)
    }
}

/// A body that must keep coming. If it is dropped before its end, the rest is taken and thrown away.
pub(super) struct Timed {
    /// Until it is dropped.
    body: Option<Incoming>,
    /// Whether the client waits for leave to send it.
    on_demand: bool,
    /// Since somebody waited for it; polls have none, and pay for none.
    clock: Option<Clock>,
    received: u64,
}

struct Clock {
    began: Instant,
    /// When something came last.
    heard: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl Clock {
    fn begin() -> Self {
        let now = Instant::now();
        Self {
            began: now,
            heard: now,
            sleep: Box::pin(sleep_until(now + BODY_TIME)),
        }
    }
}

impl Timed {
    pub(super) const fn new(body: Incoming, on_demand: bool) -> Self {
        Self {
            on_demand,
            body: Some(body),
            clock: None,
            received: 0,
        }
    }
}

impl Body for Timed {
    type Data = Bytes;
    type Error = Box<dyn StdError + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(context) {
            if let Some(data) = frame
                .as_ref()
                .and_then(|frame| frame.as_ref().ok()?.data_ref())
            {
                this.received += data.len() as u64;
                if let Some(clock) = &mut this.clock {
                    clock.heard = Instant::now();
                }
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let clock = this.clock.get_or_insert_with(Clock::begin);
        let for_its_size = Duration::from_secs(this.received / BODY_RATE);
        let end = (clock.began + for_its_size).min(clock.heard) + BODY_TIME;
        if end != clock.sleep.deadline() {
            clock.sleep.as_mut().reset(end);
        }
        clock
            .sleep
            .as_mut()
            .poll(context)
            .map(|()| Some(Err(TooSlow.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        let is_coming = |body: &Incoming| {
            let rest = body.size_hint().upper();
            !self.on_demand && rest.is_some_and(|rest| (1..=UNREAD).contains(&rest))
        };
        let unread = self.body.take().filter(is_coming);
        // When the process ends, connections end with it.
        if let (Some(body), Ok(runtime)) = (unread, Handle::try_current()) {
            runtime.spawn(timeout(UNREAD_TIME, throw_away(body)));
        }
    }
}

async fn throw_away(mut body: Incoming) {
    while let Ok(Some(Ok(_))) = timeout(UNREAD_PAUSE, body.frame()).await {}
}
