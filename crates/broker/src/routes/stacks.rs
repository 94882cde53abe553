use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use brokkr_core::StackId;
use brokkr_core::name::Reference;
use brokkr_core::wire::{CreateStack, Page, PatchStack, Plan, Stack, TargetStatus};
use http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::kept_kinds::RemovalQuery;
use super::preview::{Agreed, MadeOrPlanned, Preview};
use crate::Broker;
use crate::changes;
use crate::error::{Error, Result};
use crate::extract::{IdempotencyKey, IfMatch, Json, Path, Query, entity_tag};
use crate::idempotency::Once;
use crate::page::PageQuery;
use crate::scope::{Caller, Scope};
use crate::store::{stacks, target_status};

/// Which stacks to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StackQuery {
    /// Those that were deleted and can be brought back, instead of those that are there.
    #[serde(default)]
    #[param(required = false)]
    deleted: bool,
    /// At most so many rows: 1 to 500, 100 if absent.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// Lists the caller's stacks; an admin sees all.
#[utoipa::path(get, path = "/stacks", tag = "stacks", params(StackQuery),
    responses((status = 200, body = Page<Stack>)))]
pub(super) async fn list(
    State(broker): State<Arc<Broker>>,
    scope: Scope,
    Query(query): Query<StackQuery>,
) -> Result<Json<Page<Stack>>> {
    let StackQuery {
        deleted,
        limit,
        cursor,
    } = query;
    let mut page = PageQuery { limit, cursor }.page_by_id()?;
    let mut tx = broker.db.read().await?;
    while let Some(window) = page.wanted() {
        let rows = stacks::list(deleted, &scope, window, &mut tx).await?;
        page.add(rows.into_iter().map(|stack| (stack.id.uuid(), stack)));
    }
    Ok(Json(page.page()))
}

/// Creates a stack.
#[utoipa::path(post, path = "/stacks", tag = "stacks", request_body = CreateStack,
    params(Preview, IdempotencyKey), responses((status = 201, body = Stack),
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
    params(("stack" = String, Path, description = "Id, name or generator:name"), Preview, IfMatch, Agreed),
    responses((status = 200, body = MadeOrPlanned<Stack>)))]
pub(super) async fn patch(
    State(broker): State<Arc<Broker>>,
    scope: Scope,
    Path(stack): Path<Reference>,
    expected: IfMatch,
    agreed: Agreed,
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
        .or_change(&broker, &agreed.caller, agreed.to(change), |stack| {
            (entity_tag(stack.revision), Json(stack)).into_response()
        })
        .await
}

/// Deletes a stack. Its agents remove it from their clusters and confirm that; its history stays.
#[utoipa::path(delete, path = "/stacks/{stack}", tag = "stacks",
    params(("stack" = String, Path, description = "Id, name or generator:name"), RemovalQuery, IfMatch, Agreed),
    responses((status = 204),
        (status = 200, body = Plan, description = "With `plan=only`")))]
pub(super) async fn delete(
    State(broker): State<Arc<Broker>>,
    scope: Scope,
    Path(stack): Path<Reference>,
    expected: IfMatch,
    agreed: Agreed,
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
        .or_change(&broker, &agreed.caller, agreed.to(delete), |()| {
            StatusCode::NO_CONTENT.into_response()
        })
        .await
}

/// Brings a deleted stack back, with its history, labels, options and rules. One that is there stays as it is.
#[utoipa::path(post, path = "/stacks/{stack}/undelete", tag = "stacks",
    params(("stack" = StackId, Path, description = "Its id: the name may be another stack's by now")),
    responses((status = 200, body = Stack)))]
pub(super) async fn undelete(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    scope: Scope,
    Path(stack): Path<Reference>,
) -> Result<Response> {
    let Reference::Id(id) = stack else {
        return Err(Error::invalid(
            "/stack",
            "a deleted stack is named by its id: `GET /stacks?deleted=true` has it",
        ));
    };
    let undelete = changes::undelete::UndeleteStack {
        scope,
        stack: id.into(),
    };
    let stack = broker.change(caller.actor(), undelete).await?;
    Ok((entity_tag(stack.revision), Json(stack)).into_response())
}

/// Shows how a stack is doing at each of its agents.
#[utoipa::path(get, path = "/stacks/{stack}/status", tag = "stacks",
    params(("stack" = String, Path, description = "Id, name or generator:name"), PageQuery),
    responses((status = 200, body = Page<TargetStatus>)))]
pub(super) async fn status(
    State(broker): State<Arc<Broker>>,
    scope: Scope,
    Path(stack): Path<Reference>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<TargetStatus>>> {
    let mut page = query.page_by_id()?;
    let mut tx = broker.db.read().await?;
    let stack = stacks::find(&stack, &scope, &mut tx).await?.stack;
    while let Some(window) = page.wanted() {
        let rows = target_status::of_stack(stack.id, window, &mut tx).await?;
        page.add(
            rows.into_iter()
                .map(|row| (row.target, broker.observed(row.status, row.heartbeat))),
        );
    }
    Ok(Json(page.page()))
}
