//! Connections: an own accept loop on hyper, which costs half the memory per waiting agent that
//! `axum::serve` does, and the one layer around every request.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::anyhow;
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::Service;

use crate::error::{Cause, Error, problem_response};

/// How long a client may take to send the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long requests under way may take when the broker stops.
const DRAIN: Duration = Duration::from_secs(15);
/// How large the head of a request may be.
const HEAD_BYTES: usize = 64 * 1024;

/// Accepts connections until `stopping`, then lets those that are open finish their request.
pub(crate) async fn serve(listener: TcpListener, router: Router, stopping: CancellationToken) {
    let connections = GracefulShutdown::new();
    let requests = Arc::new(AtomicU64::new(1));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => connect(stream, &router, &requests, &connections),
            Err(error) => {
                // Out of descriptors, most often: give those that are open time to close.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, connections.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("some requests were cut off because they took too long to finish");
    }
}

fn connect(
    stream: TcpStream,
    router: &Router,
    requests: &Arc<AtomicU64>,
    connections: &GracefulShutdown,
) {
    // Answers are small: waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let (router, requests) = (router.clone(), Arc::clone(requests));
    let service = service_fn(move |request| {
        let id = requests.fetch_add(1, Ordering::Relaxed);
        answer(router.clone(), request, id)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        // How a connection ends is the client's affair.
        let _ = connection.await;
    });
}

async fn answer(
    mut router: Router,
    request: Request<Incoming>,
    id: u64,
) -> Result<Response, Infallible> {
    let line = tracing::enabled!(tracing::Level::DEBUG)
        .then(|| format!("{} {}", request.method(), request.uri().path()));
    let answered = AssertUnwindSafe(router.call(request.map(Body::new)))
        .catch_unwind()
        .await;
    let mut response = match answered {
        Ok(Ok(response)) => response,
        Err(_) => Error::internal(anyhow!("a handler panicked")).into_response(),
    };
    if let Some(line) = line {
        tracing::debug!(request = id, status = response.status().as_u16(), "{line}");
    }
    if let Some(Cause(error)) = response.extensions_mut().remove::<Cause>() {
        tracing::error!(request = id, cause = ?error, "{error}");
        let mut problem = error.problem();
        problem.request_id = Some(id.to_string());
        let headers = std::mem::take(response.headers_mut());
        response = problem_response(&problem);
        for (name, value) in headers {
            // The body is a new one; what speaks of the old one does not apply.
            if let Some(name) = name.filter(|name| name != http::header::CONTENT_LENGTH) {
                response.headers_mut().insert(name, value);
            }
        }
    }
    Ok(response)
}
