//! One connection, from its first byte to its end.

use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::Watcher;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

use super::Listener;
use super::answer::answer;
use super::bounds::{BUFFER, HEAD_TIME};
use crate::limits::Peer;

/// A connection that was accepted.
pub(super) struct Connection {
    pub(super) listener: Arc<Listener>,
    pub(super) peer: Peer,
    pub(super) watcher: Watcher,
    /// Its place among those that may be open.
    pub(super) place: OwnedSemaphorePermit,
}

impl Connection {
    /// Serves it in a task of its own, so that no client keeps others from being accepted.
    pub(super) fn begin(self, stream: TcpStream) {
        // Answers are small: waiting to fill a packet would only delay them.
        let _ = stream.set_nodelay(true);
        // Two tasks, so that a plain connection does not carry room for a handshake.
        match self.listener.tls.clone() {
            None => {
                tokio::spawn(self.serve(stream));
            }
            Some(tls) => {
                tokio::spawn(async move {
                    if let Some(stream) = tls.accept(stream).await {
                        self.serve(stream).await;
                    }
                });
            }
        }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Self {
            listener,
            peer,
            watcher,
            place: _place,
        } = self;
        let service = service_fn(move |request| answer(&listener, peer, request));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), service);
        // How a connection ends is the client's affair.
        let _ = watcher.watch(connection).await;
    }
}
