//! Connections: an own accept loop on hyper, which costs half the memory per waiting agent that
//! `axum::serve` does.

mod answer;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use brokkr_core::ambient::Ambient;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use answer::{RequestIds, answer};

/// How long a client may take to send the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long requests under way may take when the broker stops.
const DRAIN: Duration = Duration::from_secs(15);
/// How large the head of a request may be.
const HEAD_BYTES: usize = 64 * 1024;

/// Accepts connections until `stopping`, then lets those that are open finish their request.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    ambient: &dyn Ambient,
    stopping: CancellationToken,
) {
    let connections = GracefulShutdown::new();
    let ids = Arc::new(RequestIds::new(ambient));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => connect(stream, &router, &ids, &connections),
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
    ids: &Arc<RequestIds>,
    connections: &GracefulShutdown,
) {
    // Answers are small: waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let (router, ids) = (router.clone(), Arc::clone(ids));
    let service = service_fn(move |request| answer(router.clone(), request, Arc::clone(&ids)));
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
