//! The one layer around every request: its id, its log line, and the body of every refusal.

use std::convert::Infallible;
use std::fmt;
use std::future::ready;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::anyhow;
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use brokkr_core::ambient::Ambient;
use brokkr_core::wire::REQUEST_ID_HEADER;
use futures::FutureExt;
use futures::future::Either;
use http::header::EXPECT;
use http::{HeaderName, HeaderValue, Request};
use hyper::body::Incoming;
use tower::Service;

use super::bounds::Timed;
use super::{Listener, bounds};
use crate::error::{Error, Refusal};
use crate::limits::Peer;

/// Numbers requests, beginning with a word of this run: an id means one request, whichever replica answered it
/// and however often that was started. What a caller sends as an id counts for nothing.
pub(super) struct RequestIds {
    run: u32,
    last: AtomicU64,
}

impl RequestIds {
    pub(super) fn new(ambient: &dyn Ambient) -> Self {
        let mut run = [0; 4];
        ambient.fill(&mut run);
        Self {
            run: u32::from_be_bytes(run),
            last: AtomicU64::new(0),
        }
    }

    fn next(&self) -> RequestId {
        RequestId {
            run: self.run,
            number: self.last.fetch_add(1, Ordering::Relaxed) + 1,
        }
    }
}

/// Means one request, in its answer, in the log and in the audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestId {
    run: u32,
    number: u64,
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{}", self.run, self.number)
    }
}

impl RequestId {
    #[cfg(test)]
    pub(crate) const fn of(run: u32, number: u64) -> Self {
        Self { run, number }
    }

    /// Which request of this run it is, from 1.
    pub(crate) const fn number(self) -> u64 {
        self.number
    }
}

/// Answers a request. While a poll waits, what is returned lies in memory as it is: it holds nothing of the request.
pub(super) fn answer(
    listener: &Listener,
    peer: Peer,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response, Infallible>> + use<> {
    let id = listener.ids.next();
    // A path may hold any byte above ASCII, and a terminal may obey some of them.
    let line = tracing::enabled!(tracing::Level::DEBUG).then(|| {
        let (method, path) = (request.method(), request.uri().path());
        format!("{method} {}", path.escape_debug()).into_boxed_str()
    });
    let on_demand = request.headers().contains_key(EXPECT);
    let request = request.map(|body| Timed::new(body, on_demand));
    let routed = match bounds::check(&request) {
        Ok(()) => Either::Left(route(&listener.router, peer, id, request)),
        Err(error) => Either::Right(ready(error.into_response())),
    };
    routed.map(move |response| Ok(finish(response, id, line.as_deref())))
}

/// Finds out who answers.
fn route(
    router: &Router,
    peer: Peer,
    id: RequestId,
    request: Request<Timed>,
) -> impl Future<Output = Response> + use<> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(peer);
    request.extensions_mut().insert(id);
    let answer = AssertUnwindSafe(router.clone().call(request)).catch_unwind();
    answer.map(|answer| match answer {
        Ok(Ok(response)) => response,
        Err(_) => Error::internal(anyhow!("a handler panicked")).into_response(),
    })
}

/// Gives an answer its request's id, its line in the log, and its body if it is a refusal.
fn finish(mut response: Response, id: RequestId, line: Option<&str>) -> Response {
    let request = id.to_string();
    if let Some(line) = line {
        tracing::debug!(request, status = response.status().as_u16(), "{line}");
    }
    if let Ok(value) = HeaderValue::from_str(&request) {
        let name = HeaderName::from_static(REQUEST_ID_HEADER);
        response.headers_mut().insert(name, value);
    }
    if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
        if let Some(error) = refusal.failure() {
            tracing::error!(request, cause = ?error, "{error}");
        }
        refusal.write(id, &mut response);
    }
    response
}
