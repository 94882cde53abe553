mod asked;
mod weather;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::{Cluster, PATIENCE, Proxy, Route, eventually};

pub use asked::Asked;
pub use weather::Weather;

/// Stands in front of the API server, notes what is asked of it, and can have it answer badly, or not at all.
pub struct ApiFront {
    kubeconfig: PathBuf,
    shared: Arc<Shared>,
    line: Proxy,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

struct Shared {
    client: kube::Client,
    weather: watch::Sender<Weather>,
    struck: AtomicU64,
    forgotten: AtomicU64,
    asked: Mutex<Vec<Asked>>,
}

impl ApiFront {
    /// Listens on a free port, and writes a kubeconfig that leads there.
    pub async fn start(cluster: &Cluster, directory: &Path) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let line = Proxy::start(Route::Through(address)).await?;
        let kubeconfig = directory.join("front.kubeconfig");
        tokio::fs::write(&kubeconfig, leading_to(&line.url())).await?;
        let shared = Arc::new(Shared {
            client: cluster.client(),
            weather: watch::Sender::new(Weather::Fair),
            struck: AtomicU64::new(0),
            forgotten: AtomicU64::new(0),
            asked: Mutex::default(),
        });
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            kubeconfig,
            shared,
            line,
            address,
            serving,
        })
    }

    /// The file that an agent gets.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// What becomes of requests from now on.
    pub fn turn(&self, weather: Weather) {
        self.shared.weather.send_replace(weather);
    }

    /// Cuts all connections, and makes no new ones.
    pub fn leave(&self) {
        self.line.switch(Route::Closed);
    }

    /// Is there again.
    pub fn come_back(&self) {
        self.line.switch(Route::Through(self.address));
    }

    /// All that was asked up to now.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked().clone()
    }

    /// What was asked from a moment on.
    pub fn asked_since(&self, begun: Instant) -> Vec<Asked> {
        let asked = self.shared.asked();
        asked.iter().filter(|a| a.at >= begun).cloned().collect()
    }

    /// Waits until so many lists came back empty that were not.
    pub async fn forgot(&self, lists: u64) -> Result<()> {
        eventually("lists come back empty", PATIENCE, async || {
            let forgotten = self.shared.forgotten.load(Ordering::Relaxed);
            ensure!(forgotten >= lists, "{forgotten} of {lists}");
            Ok(())
        })
        .await
    }
}

impl Drop for ApiFront {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shared {
    fn asked(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, asked: Asked) -> usize {
        let mut all = self.asked();
        all.push(asked);
        all.len() - 1
    }

    fn note_answer(&self, number: usize, status: StatusCode) {
        if let Some(asked) = self.asked().get_mut(number) {
            asked.answered = Some((Instant::now(), status));
        }
    }
}

fn leading_to(url: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
current-context: front
contexts: [{{name: front, context: {{cluster: front, user: front}}}}]
clusters: [{{name: front, cluster: {{server: \"{url}\"}}}}]
users: [{{name: front, user: {{}}}}]
"
    )
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let asked = Asked::now(&request);
    let number = shared.note(asked.clone());
    let answer = under_the_weather(&shared, &asked, request).await;
    let answer = answer.unwrap_or_else(|error| trouble(&error));
    shared.note_answer(number, answer.status());
    answer
}

async fn under_the_weather(shared: &Shared, asked: &Asked, request: Request) -> Result<Response> {
    let mut weather = shared.weather.subscribe();
    weather.wait_for(|weather| !weather.silences(asked)).await?;
    let weather = weather.borrow().clone();
    if let Some(refusal) = weather.strikes(asked, &shared.struck).await {
        return Ok(refusal);
    }
    let answer = pass_on(&shared.client, request).await?;
    if weather == Weather::Forgetful && asked.is_list() && answer.status().is_success() {
        return empty(answer, shared).await;
    }
    Ok(answer)
}

async fn pass_on(client: &kube::Client, request: Request) -> Result<Response> {
    let (mut head, body) = request.into_parts();
    for name in [HOST, AUTHORIZATION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        head.headers.remove(name);
    }
    let path = head.uri.path_and_query().context("a path")?.as_str();
    head.uri = path.parse()?;
    let body = to_bytes(body, usize::MAX).await?;
    let request = axum::http::Request::from_parts(head, body.into());
    let (mut head, body) = client.send(request).await?.into_parts();
    for name in [CONTENT_LENGTH, TRANSFER_ENCODING] {
        head.headers.remove(name);
    }
    Ok(Response::from_parts(head, Body::new(body)))
}

async fn empty(answer: Response, shared: &Shared) -> Result<Response> {
    let (head, body) = answer.into_parts();
    let mut list: serde_json::Value = serde_json::from_slice(&to_bytes(body, usize::MAX).await?)?;
    let items = list["items"].as_array_mut().context("a list")?;
    if !items.is_empty() {
        shared.forgotten.fetch_add(1, Ordering::Relaxed);
    }
    items.clear();
    if let Some(metadata) = list["metadata"].as_object_mut() {
        metadata.remove("continue");
    }
    Ok(Response::from_parts(head, Body::from(list.to_string())))
}

fn trouble(error: &anyhow::Error) -> Response {
    (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response()
}
