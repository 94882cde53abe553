use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use brokkr_core::name::Reference;
use brokkr_core::wire::{CreateStack, Page, PatchStack, Plan, Stack, TargetStatus};
use http::StatusCode;

use super::kept_kinds::RemovalQuery;
use super::preview::{MadeOrPlanned, Preview};
use crate::Broker;
use crate::changes;
use crate::error::Result;
use crate::extract::{IdempotencyKey, IfMatch, Json, Path, Query, entity_tag};
use crate::idempotency::Once;
use crate::page::PageQuery;
use crate::scope::{Caller, Scope};
use crate::store::{stacks, target_status};

/// Lists the caller's stacks; an admin sees all.
#[utoipa::path(get, path = "/stacks", tag = "stacks", params(PageQuery),
    responses((status = 200, body = Page<Stack>)))]
pub(super) async fn list(
    State(broker): State<Arc<Broker>>,
    scope: Scope,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Stack>>> {
    let window = page.window()?;
    let rows = stacks::list(&scope, &window, &mut broker.db.read().await?).await?;
    Ok(Json(window.page(rows, |stack| stack.id.uuid())))
}

/// Creates a stack.
#[utoipa::path(post, path = "/stacks", tag = "stacks", request_body = CreateStack,
    params(Preview), responses((status = 201, body = Stack),
        (status = 200, body = Plan, description = "With `plan=only`")))]
pub(super) async fn create(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    scope: Scope,
    Query(preview): Query<Preview>,
    IdempotencyKey(key): IdempotencyKey,
    Json(create): Json<CreateStack>,
) -> Result<Response> {
    let mutation = changes::stacks::CreateOwnStack { scope, create };
    let once = Once { key, mutation };
    preview
        .or_change(&broker, &caller, once, |stack| {
            (StatusCode::CREATED, Json(stack)).into_response()
        })
        .await
}

/// Shows a stack.
#[utoipa::path(get, path = "/stacks/{stack}", tag = "stacks",
    params(("stack" = String, Path, description = "Id, name or generator:name")),
    responses((status = 200, body = Stack)))]
pub(super) async fn get(
    State(broker): State<Arc<Broker>>,
    scope: Scope,
    Path(stack): Path<Reference>,
) -> Result<Response> {
    let row = stacks::find(&stack, &scope, &mut broker.db.read().await?).await?;
    Ok((entity_tag(row.stack.revision), Json(row.stack)).into_response())
}

/// Changes a stack (JSON Merge Patch): its options, and with labels, annotations and targeting who runs it.
#[utoipa::path(patch, path = "/stacks/{stack}", tag = "stacks", request_body = PatchStack,
    params(("stack" = String, Path, description = "Id, name or generator:name"), Preview),
    responses((status = 200, body = MadeOrPlanned<Stack>)))]
pub(super) async fn patch(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    scope: Scope,
    Path(stack): Path<Reference>,
    expected: IfMatch,
    Query(preview): Query<Preview>,
    Json(patch): Json<PatchStack>,
) -> Result<Response> {
    let change = changes::stacks::ChangeStack {
        scope,
        stack,
        expected,
        patch,
    };
    preview
        .or_change(&broker, &caller, change, |stack| {
            (entity_tag(stack.revision), Json(stack)).into_response()
        })
        .await
}

/// Deletes a stack. Its agents remove it from their clusters and confirm that; its history stays.
#[utoipa::path(delete, path = "/stacks/{stack}", tag = "stacks",
    params(("stack" = String, Path, description = "Id, name or generator:name"), RemovalQuery),
    responses((status = 204),
        (status = 200, body = Plan, description = "With `plan=only`")))]
pub(super) async fn delete(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    scope: Scope,
    Path(stack): Path<Reference>,
    expected: IfMatch,
    Query(removal): Query<RemovalQuery>,
) -> Result<Response> {
    let delete = changes::stacks::DeleteStack {
        scope,
        stack,
        expected,
        policy: removal.policy,
        allow_delete: removal.allow_delete()?,
    };
    let preview = removal.preview();
    preview
        .or_change(&broker, &caller, delete, |()| {
            StatusCode::NO_CONTENT.into_response()
        })
        .await
}

/// Shows how a stack is doing at each of its agents.
#[utoipa::path(get, path = "/stacks/{stack}/status", tag = "stacks",
    params(("stack" = String, Path, description = "Id, name or generator:name"), PageQuery),
    responses((status = 200, body = Page<TargetStatus>)))]
pub(super) async fn status(
    State(broker): State<Arc<Broker>>,
    scope: Scope,
    Path(stack): Path<Reference>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<TargetStatus>>> {
    let window = page.window()?;
    let mut tx = broker.db.read().await?;
    let stack = stacks::find(&stack, &scope, &mut tx).await?.stack;
    let rows = target_status::of_stack(stack.id, &window, &mut tx).await?;
    let page = window.page(rows, |row| row.target);
    let items = page
        .items
        .into_iter()
        .map(|row| broker.observed(row))
        .collect();
    Ok(Json(Page {
        items,
        next: page.next,
    }))
}
