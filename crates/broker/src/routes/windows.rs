use std::sync::Arc;

use axum::extract::State;
use brokkr_core::name::Reference;
use brokkr_core::wire::{CreateWindow, Page, Window};
use http::StatusCode;

use crate::Broker;
use crate::changes::windows::DeleteWindow;
use crate::error::Result;
use crate::extract::{IdempotencyKey, Json, Path};
use crate::idempotency::Once;
use crate::scope::Caller;
use crate::store::windows;

/// Lists maintenance windows: all of them, there are at most 100.
#[utoipa::path(get, path = "/windows", tag = "windows", responses((status = 200, body = Page<Window>)))]
pub(super) async fn list(State(broker): State<Arc<Broker>>) -> Result<Json<Page<Window>>> {
    let rows = windows::all(&mut broker.db.read().await?).await?;
    let items = rows.into_iter().map(|row| row.window).collect();
    Ok(Json(Page { items, next: None }))
}

/// Creates a maintenance window. Agents judge it by their own clocks.
#[utoipa::path(post, path = "/windows", tag = "windows", request_body = CreateWindow,
    params(IdempotencyKey), responses((status = 201, body = Window)))]
pub(super) async fn create(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    Json(create): Json<CreateWindow>,
) -> Result<(StatusCode, Json<Window>)> {
    let once = Once {
        key,
        mutation: create,
    };
    let window = broker.change(caller.actor(), once).await?;
    Ok((StatusCode::CREATED, Json(window)))
}

/// Shows a maintenance window.
#[utoipa::path(get, path = "/windows/{window}", tag = "windows",
    params(("window" = String, Path, description = "Id or name")), responses((status = 200, body = Window)))]
pub(super) async fn get(
    State(broker): State<Arc<Broker>>,
    Path(window): Path<Reference>,
) -> Result<Json<Window>> {
    let row = windows::find(&window, &mut broker.db.read().await?).await?;
    Ok(Json(row.window))
}

/// Deletes a maintenance window. What waits for it alone is brought at once.
#[utoipa::path(delete, path = "/windows/{window}", tag = "windows",
    params(("window" = String, Path, description = "Id or name")), responses((status = 204)))]
pub(super) async fn delete(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    Path(window): Path<Reference>,
) -> Result<StatusCode> {
    let delete = DeleteWindow { window };
    broker.change(caller.actor(), delete).await?;
    Ok(StatusCode::NO_CONTENT)
}
