//! One connection, from its first byte to its end.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::Watcher;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::Listener;
use super::answer::answer;

/// How long a client may take to send the head of a request.
const HEAD: Duration = Duration::from_secs(10);
/// How large the head of a request may be.
const HEAD_BYTES: usize = 64 * 1024;

/// Serves a connection in a task of its own, so that no client keeps others from being accepted.
pub(super) fn begin(stream: TcpStream, listener: &Arc<Listener>, watcher: Watcher) {
    // Answers are small: waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let listener = Arc::clone(listener);
    // Two tasks, so that a plain connection does not carry room for a handshake.
    if listener.tls.is_none() {
        tokio::spawn(serve(stream, listener, watcher));
    } else {
        tokio::spawn(async move {
            let tls = listener.tls.as_ref()?;
            let stream = tls.accept(stream).await?;
            serve(stream, Arc::clone(&listener), watcher).await;
            Some(())
        });
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    listener: Arc<Listener>,
    watcher: Watcher,
) {
    let service = service_fn(move |request| answer(Arc::clone(&listener), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    // How a connection ends is the client's affair.
    let _ = watcher.watch(connection).await;
}
