//! Connections: an own accept loop on hyper, which costs half the memory per waiting agent that
//! `axum::serve` does.

mod answer;
mod bounds;
mod connection;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use brokkr_core::ambient::Ambient;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::limits::Peer;
pub(crate) use answer::RequestId;
use answer::RequestIds;
pub(crate) use bounds::TooSlow;
use connection::Connection;
pub(crate) use tls::Tls;
pub use tls::TlsFiles;

/// How long requests under way may take when the broker stops.
const DRAIN: Duration = Duration::from_secs(15);

/// How a broker meets those who connect.
#[derive(Debug, Clone, Default)]
pub struct ListenerSettings {
    /// With these it speaks TLS, and nothing else.
    pub tls: Option<TlsFiles>,
}

/// What all connections share.
pub(crate) struct Listener {
    router: Router,
    ids: RequestIds,
    tls: Option<Arc<Tls>>,
    places: Arc<Semaphore>,
}

impl Listener {
    pub(crate) fn new(
        router: Router,
        ambient: &dyn Ambient,
        tls: Option<Arc<Tls>>,
        connections: usize,
    ) -> Self {
        Self {
            router,
            ids: RequestIds::new(ambient),
            tls,
            places: Arc::new(Semaphore::new(connections)),
        }
    }

    /// Accepts connections until `stopping`, then lets those that are open finish their request.
    pub(crate) async fn serve(self, socket: TcpListener, stopping: CancellationToken) {
        let listener = Arc::new(self);
        let connections = GracefulShutdown::new();
        tokio::select! {
            () = listener.accept(&socket, &connections) => {}
            () = listener.follow_files() => {}
            () = stopping.cancelled() => {}
        }
        drop(socket);
        if timeout(DRAIN, connections.shutdown()).await.is_err() {
            tracing::warn!("some requests were cut off because they took too long to finish");
        }
    }

    async fn accept(self: &Arc<Self>, socket: &TcpListener, connections: &GracefulShutdown) {
        let mut was_full = false;
        loop {
            match socket.accept().await {
                Ok((stream, peer)) => {
                    // A connection too many is closed at once: its client can try again, or elsewhere.
                    let place = Arc::clone(&self.places).try_acquire_owned();
                    let is_full = place.is_err();
                    if is_full && !was_full {
                        tracing::warn!(
                            "as many connections are open as may be: see --max-connections"
                        );
                    }
                    was_full = is_full;
                    let Ok(place) = place else { continue };
                    let connection = Connection {
                        listener: Arc::clone(self),
                        peer: Peer(peer.ip()),
                        watcher: connections.watcher(),
                        place,
                    };
                    connection.begin(stream);
                }
                Err(error) => {
                    // Out of descriptors, most often: give those that are open time to close.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn follow_files(&self) {
        match &self.tls {
            Some(tls) => tls.follow().await,
            None => std::future::pending().await,
        }
    }
}
