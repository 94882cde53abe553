//! One connection, from its first byte to its end.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::Watcher;
use socket2::SockRef;
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
        bound(&stream);
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

    /// Serves it to its end. While it waits, what is returned lies in memory as it is: an async function would hold its arguments twice.
    fn serve(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> impl Future<Output = ()> + Send {
        let Self {
            listener,
            peer,
            watcher,
            place,
        } = self;
        let service = service_fn(move |request| answer(&listener, peer, request));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), service);
        // How a connection ends is the client's affair.
        watcher.watch(connection).map(move |_| drop(place))
    }
}

/// The kernel holds so much of an answer that is not taken; it counts twice of it for its own upkeep.
const UNSENT: usize = 128 * 1024;
/// How long a client may take nothing of an answer, or be gone without a word.
const TAKE_TIME: Duration = Duration::from_secs(20);

/// Bounds what a client that does not read its answers costs, and for how long. The kernel knows what was taken, and however
/// slowly: a timer here would see that only when there is much room again. Where it cannot be told to, it does as it does.
fn bound(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let _ = socket.set_send_buffer_size(UNSENT);
    let _ = socket.set_tcp_user_timeout(Some(TAKE_TIME));
}
