//! Connections: an own accept loop on hyper, which costs half the memory per waiting agent that
//! `axum::serve` does.

mod answer;
mod connection;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use brokkr_core::ambient::Ambient;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use answer::RequestIds;
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
}

impl Listener {
    pub(crate) fn new(router: Router, ambient: &dyn Ambient, tls: Option<Arc<Tls>>) -> Self {
        Self {
            router,
            ids: RequestIds::new(ambient),
            tls,
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
        loop {
            match socket.accept().await {
                Ok((stream, _)) => connection::begin(stream, self, connections.watcher()),
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
