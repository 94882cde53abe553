//! The least that an HTTP server of this kind can do: what the broker's polls are compared with.

use anyhow::Result;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;

/// Serves on a free port, which is printed, until it is killed.
pub async fn serve() -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("listening on {}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let router = Router::new().route("/api/v1/agent/target-state", get(unchanged));
    Ok(axum::serve(listener, router).await?)
}

async fn unchanged() -> StatusCode {
    StatusCode::NOT_MODIFIED
}
