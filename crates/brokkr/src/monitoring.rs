//! The port for those who watch over a process: its figures, and whether it is well. It is one of its own, because who
//! watches has no key; there is nothing secret behind it.

mod process;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::encoding::text;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::lifecycle::Lifecycle;
use process::Process;

/// Whoever scrapes and whoever probes are few.
const CONNECTIONS: usize = 64;
/// How long a connection may take, from its first byte to its last; it is for one request.
const PATIENCE: Duration = Duration::from_secs(10);
/// How large the head of a request may be.
const HEAD: usize = 16 * 1024;
/// After a connection could not be accepted, most often for want of descriptors.
const REST: Duration = Duration::from_millis(50);
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Where a process is watched over.
#[derive(Args)]
pub struct Monitoring {
    /// Where to answer /metrics, /healthz and /readyz, unencrypted and to everybody (docs/how-to/monitor.md);
    /// port 0 takes a free one [default: nowhere]
    #[arg(long, env = "BROKKR_METRICS", value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
}

/// What is watched over.
pub trait Watched: Send + Sync + 'static {
    /// Lets the figures be read.
    fn register(&self, registry: &mut Registry);
    /// Why another start may help, if that is so.
    fn health(&self) -> Result<(), String>;
    /// Whether it does what it is for, in words; or why not.
    fn readiness(&self) -> Result<&'static str, String>;
}

impl Watched for Arc<brokkr_agent::Monitor> {
    fn register(&self, registry: &mut Registry) {
        brokkr_agent::Monitor::register(self, registry);
    }

    fn health(&self) -> Result<(), String> {
        brokkr_agent::Monitor::health(self)
    }

    fn readiness(&self) -> Result<&'static str, String> {
        brokkr_agent::Monitor::readiness(self)
    }
}

impl Watched for Arc<brokkr_broker::Broker> {
    fn register(&self, registry: &mut Registry) {
        brokkr_broker::Broker::register(self, registry);
    }

    fn health(&self) -> Result<(), String> {
        Ok(())
    }

    fn readiness(&self) -> Result<&'static str, String> {
        brokkr_broker::Broker::readiness(self)
    }
}

impl Monitoring {
    /// Answers from then on, if that was asked for.
    pub async fn start(
        self,
        lifecycle: &mut Lifecycle,
        watched: impl Watched,
    ) -> anyhow::Result<()> {
        let Some(address) = self.metrics else {
            return Ok(());
        };
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("{address} cannot be listened on"))?;
        let address = listener.local_addr()?;
        tracing::info!("metrics and probes are at http://{address}");
        let desk = Arc::new(Desk::new(watched));
        let shutdown = lifecycle.shutdown();
        lifecycle.spawn("listener for metrics", async move {
            serve(listener, desk, shutdown).await;
            Ok(())
        });
        Ok(())
    }
}

/// All figures of a process.
fn registry(watched: &impl Watched) -> Registry {
    let mut registry = Registry::default();
    let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("brokkr_build", "Which version runs", build);
    registry.register_collector(Box::new(Process));
    watched.register(&mut registry);
    registry
}

/// Accepts until the end. A connection too many is closed at once: its client can try again.
async fn serve<W: Watched>(listener: TcpListener, desk: Arc<Desk<W>>, shutdown: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(REST).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            continue;
        };
        let desk = Arc::clone(&desk);
        tokio::spawn(async move {
            let _place = place;
            // How a connection ends is the client's affair.
            let _ = timeout(PATIENCE, desk.meet(stream)).await;
        });
    }
}

/// Who answers.
struct Desk<W> {
    watched: W,
    registry: Registry,
}

impl<W: Watched> Desk<W> {
    fn new(watched: W) -> Self {
        Self {
            registry: registry(&watched),
            watched,
        }
    }

    async fn meet(self: Arc<Self>, stream: TcpStream) -> hyper::Result<()> {
        let service = service_fn(move |request| {
            let response = self.answer(&request);
            async { Ok::<_, Infallible>(response) }
        });
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .max_buf_size(HEAD)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service)
            .await
    }

    fn answer<B>(&self, request: &Request<B>) -> Response<String> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut refusal = page(StatusCode::METHOD_NOT_ALLOWED, "GET only");
            let allow = HeaderValue::from_static("GET, HEAD");
            refusal.headers_mut().insert(ALLOW, allow);
            return refusal;
        }
        match request.uri().path() {
            "/metrics" => self.metrics(),
            "/healthz" => probe(self.watched.health().map(|()| "ok")),
            "/readyz" => probe(self.watched.readiness()),
            _ => page(
                StatusCode::NOT_FOUND,
                "there are /metrics, /healthz and /readyz",
            ),
        }
    }

    fn metrics(&self) -> Response<String> {
        let mut text = String::new();
        match text::encode(&mut text, &self.registry) {
            Ok(()) => {
                let mut answer = Response::new(text);
                answer.headers_mut().insert(CONTENT_TYPE, OPEN_METRICS);
                answer
            }
            Err(error) => page(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }
}

fn probe(outcome: Result<&'static str, String>) -> Response<String> {
    match outcome {
        Ok(words) => page(StatusCode::OK, words),
        Err(why) => page(StatusCode::SERVICE_UNAVAILABLE, &why),
    }
}

fn page(status: StatusCode, words: &str) -> Response<String> {
    let mut page = Response::new(format!("{words}\n"));
    *page.status_mut() = status;
    page.headers_mut().insert(CONTENT_TYPE, PLAIN);
    page
}
