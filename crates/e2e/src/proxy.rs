mod line;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use line::{Line, Wire};

/// What happens to connections through a [`Proxy`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    /// They pass.
    Through(SocketAddr),
    /// They pass, each piece of data late.
    Slowly(SocketAddr, Duration),
    /// They are closed as soon as they are made.
    Closed,
}

/// A TCP proxy that can be told to misbehave.
pub struct Proxy {
    address: SocketAddr,
    route: watch::Sender<Route>,
    line: Arc<Line>,
    seen: Arc<Seen>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicU64,
    polls: AtomicU64,
    contents: AtomicU64,
    bytes: AtomicU64,
}

impl Seen {
    fn count(&self, piece: &[u8]) {
        self.bytes.fetch_add(piece.len() as u64, Ordering::Relaxed);
    }
}

impl Proxy {
    /// Listens on a free port.
    pub async fn start(route: Route) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (route, routes) = watch::channel(route);
        let (seen, line) = (Arc::<Seen>::default(), Arc::<Line>::default());
        let accepting = tokio::spawn(accept(listener, routes, line.clone(), seen.clone()));
        Ok(Self {
            address,
            route,
            line,
            seen,
            accepting,
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as `--broker` takes it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Cuts all connections; new ones take this route.
    pub fn switch(&self, route: Route) {
        self.route.send_replace(route);
    }

    /// Closes nothing, and lets nothing pass any more, also on new connections.
    pub fn freeze(&self) {
        self.line.freeze();
    }

    /// Lets pass again what was held up.
    pub fn thaw(&self) {
        self.line.thaw();
    }

    /// Forgets all connections that there are, as a router that starts anew: neither end hears of it. New ones pass.
    pub fn forget(&self) {
        self.line.forget(|_| true);
    }

    /// The same of the connections on which PostgreSQL was asked to notify. Answers how many there were.
    pub fn forget_listeners(&self) -> usize {
        self.line.forget(Wire::listens)
    }

    /// How many polls have been asked through it.
    pub fn polls(&self) -> u64 {
        self.seen.polls.load(Ordering::Relaxed)
    }

    /// How many contents have been asked for through it.
    pub fn contents(&self) -> u64 {
        self.seen.contents.load(Ordering::Relaxed)
    }

    /// How many bytes it has carried, in both directions.
    pub fn carried(&self) -> u64 {
        self.seen.bytes.load(Ordering::Relaxed)
    }

    /// How many connections have been made to it.
    pub fn attempts(&self) -> u64 {
        self.seen.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    routes: watch::Receiver<Route>,
    line: Arc<Line>,
    seen: Arc<Seen>,
) {
    while let Ok((client, _)) = listener.accept().await {
        seen.connections.fetch_add(1, Ordering::Relaxed);
        let (mut routes, seen, wire) = (routes.clone(), seen.clone(), line.wire());
        tokio::spawn(async move {
            let route = *routes.borrow_and_update();
            tokio::select! {
                // Also at the proxy's end, when the sender is gone.
                _ = routes.changed() => {}
                _ = carry(client, route, &wire, &seen) => {}
            }
        });
    }
}

async fn carry(
    mut client: TcpStream,
    route: Route,
    wire: &Wire,
    seen: &Seen,
) -> std::io::Result<()> {
    let (to, delay) = match route {
        Route::Through(to) => (to, Duration::ZERO),
        Route::Slowly(to, delay) => (to, delay),
        Route::Closed => return Ok(()),
    };
    wire.passes().await;
    let mut server = TcpStream::connect(to).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let asks = |piece: &[u8]| {
        wire.hears(piece);
        seen.count(piece);
        if piece.starts_with(b"GET /api/v1/agent/target-state") {
            seen.polls.fetch_add(1, Ordering::Relaxed);
        } else if piece.starts_with(b"GET /api/v1/deployment-objects/") {
            seen.contents.fetch_add(1, Ordering::Relaxed);
        }
    };
    // One end's end is the other's: a broker that was killed must look dead.
    tokio::select! {
        end = pump(from_client, to_server, delay, wire, asks) => end,
        end = pump(from_server, to_client, delay, wire, |piece| seen.count(piece)) => end,
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    delay: Duration,
    wire: &Wire,
    look: impl Fn(&[u8]),
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        wire.passes().await;
        if length == 0 {
            return to.shutdown().await;
        }
        look(&buffer[..length]);
        tokio::time::sleep(delay).await;
        to.write_all(&buffer[..length]).await?;
    }
}
