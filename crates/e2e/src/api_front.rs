use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::{Cluster, PATIENCE, eventually};

/// Stands in front of the API server, and can make it forget its lists: each comes back whole, well-formed and empty.
pub struct ApiFront {
    kubeconfig: PathBuf,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    client: kube::Client,
    forgets: AtomicBool,
    forgotten: AtomicU64,
}

impl ApiFront {
    /// Listens on a free port, and writes a kubeconfig that leads there.
    pub async fn start(cluster: &Cluster, directory: &Path) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let kubeconfig = directory.join("front.kubeconfig");
        tokio::fs::write(&kubeconfig, leading_to(listener.local_addr()?)).await?;
        let shared = Arc::new(Shared {
            client: cluster.client(),
            forgets: AtomicBool::new(false),
            forgotten: AtomicU64::new(0),
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
            serving,
        })
    }

    /// The file that an agent gets.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// From now on every list is empty.
    pub fn forget(&self) {
        self.shared.forgets.store(true, Ordering::Relaxed);
    }

    /// Lists are what they are again.
    pub fn remember(&self) {
        self.shared.forgets.store(false, Ordering::Relaxed);
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

fn leading_to(address: SocketAddr) -> String {
    format!(
        "apiVersion: v1
kind: Config
current-context: front
contexts: [{{name: front, context: {{cluster: front, user: front}}}}]
clusters: [{{name: front, cluster: {{server: \"http://{address}\"}}}}]
users: [{{name: front, user: {{}}}}]
"
    )
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let forgets = shared.forgets.load(Ordering::Relaxed) && is_list(&request);
    match pass_on(&shared.client, request).await {
        Ok(answer) if forgets && answer.status().is_success() => empty(answer, &shared)
            .await
            .unwrap_or_else(|error| trouble(&error)),
        Ok(answer) => answer,
        Err(error) => trouble(&error),
    }
}

/// Lists are asked for page by page.
fn is_list(request: &Request) -> bool {
    let query = request.uri().query().unwrap_or_default();
    request.method() == Method::GET && query.split('&').any(|part| part.starts_with("limit="))
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
    Ok(Response::from_parts(
        head,
        Body::from(body.collect_bytes().await?),
    ))
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
