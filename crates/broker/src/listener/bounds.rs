//! How long and how large a request may be before anybody looks at what it says.

use std::error::Error as StdError;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use http::Request;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::error::{Error, Result};

/// How large the head of a request may be.
const HEAD_BYTES: usize = 64 * 1024;
/// How long its address may be.
const URI_BYTES: usize = 8 * 1024;
/// What is read before a head that does not end is given up: enough to say what is too long.
pub(super) const BUFFER: usize = HEAD_BYTES + 2 * URI_BYTES;
/// How long the head may take.
pub(super) const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a body may take, whatever its size.
const BODY_TIME: Duration = Duration::from_secs(20);
/// What must come in each second after that.
const BODY_RATE: u64 = 16 * 1024;

/// Refuses a head that is too large.
pub(super) fn check(request: &Request<Incoming>) -> Result<()> {
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

/// A body that must keep coming.
pub(super) struct Timed {
    body: Incoming,
    /// Since somebody began to read it; polls have none, and pay for none.
    clock: Option<(Instant, Pin<Box<Sleep>>)>,
    received: u64,
}

impl Timed {
    pub(super) fn new(body: Incoming) -> Self {
        Self {
            body,
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
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            if let Some(data) = frame
                .as_ref()
                .and_then(|frame| frame.as_ref().ok()?.data_ref())
            {
                this.received += data.len() as u64;
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let (start, sleep) = this.clock.get_or_insert_with(|| {
            let now = Instant::now();
            (now, Box::pin(sleep_until(now + BODY_TIME)))
        });
        let end = *start + BODY_TIME + Duration::from_secs(this.received / BODY_RATE);
        if end != sleep.deadline() {
            sleep.as_mut().reset(end);
        }
        sleep
            .as_mut()
            .poll(context)
            .map(|()| Some(Err(TooSlow.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
