use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use brokkr_core::name::Reference;
use brokkr_core::wire::{CreateGenerator, CreatedGenerator, Generator, Page, PatchGenerator, Plan};
use http::StatusCode;

use super::preview::{Agreed, MadeOrPlanned, Preview};
use crate::Broker;
use crate::changes;
use crate::error::Result;
use crate::extract::{IdempotencyKey, IfMatch, Json, Path, Query, entity_tag};
use crate::idempotency::Once;
use crate::page::PageQuery;
use crate::scope::Caller;
use crate::store::generators;

/// Lists generators.
#[utoipa::path(get, path = "/generators", tag = "generators", params(PageQuery),
    responses((status = 200, body = Page<Generator>)))]
pub(super) async fn list(
    State(broker): State<Arc<Broker>>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Generator>>> {
    let mut page = query.page_by_id()?;
    let mut tx = broker.db.read().await?;
    while let Some(window) = page.wanted() {
        let rows = generators::list(window, &mut tx).await?;
        page.add(rows.into_iter().map(|row| (row.id.uuid(), row)));
    }
    Ok(Json(page.page()))
}

/// Registers a generator. The answer holds its key, which is shown this once.
#[utoipa::path(post, path = "/generators", tag = "generators", request_body = CreateGenerator,
    params(IdempotencyKey), responses((status = 201, body = CreatedGenerator)))]
pub(super) async fn create(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    Json(create): Json<CreateGenerator>,
) -> Result<(StatusCode, Json<CreatedGenerator>)> {
    let once = Once {
        key,
        mutation: create,
    };
    let (generator, pak) = broker.change(caller.actor(), once).await?;
    Ok((
        StatusCode::CREATED,
        Json(CreatedGenerator {
            generator,
            pak: pak.expose().to_owned(),
        }),
    ))
}

/// Shows a generator.
#[utoipa::path(get, path = "/generators/{generator}", tag = "generators",
    params(("generator" = String, Path, description = "Id or name")), responses((status = 200, body = Generator)))]
pub(super) async fn get(
    State(broker): State<Arc<Broker>>,
    Path(generator): Path<Reference>,
) -> Result<Response> {
    let generator = generators::find(&generator, &mut broker.db.read().await?).await?;
    Ok((entity_tag(generator.revision), Json(generator)).into_response())
}

/// Changes what a generator may reach and have (JSON Merge Patch).
#[utoipa::path(patch, path = "/generators/{generator}", tag = "generators", request_body = PatchGenerator,
    params(("generator" = String, Path, description = "Id or name"), Preview, IfMatch, Agreed),
    responses((status = 200, body = MadeOrPlanned<Generator>)))]
pub(super) async fn patch(
    State(broker): State<Arc<Broker>>,
    Path(generator): Path<Reference>,
    expected: IfMatch,
    agreed: Agreed,
    Query(preview): Query<Preview>,
    Json(patch): Json<PatchGenerator>,
) -> Result<Response> {
    let change = changes::generators::ChangeGenerator {
        generator,
        expected,
        patch,
    };
    preview
        .or_change(&broker, &agreed.caller, agreed.to(change), |generator| {
            (entity_tag(generator.revision), Json(generator)).into_response()
        })
        .await
}

/// Deletes a generator that owns no stacks. Its keys die with it.
#[utoipa::path(delete, path = "/generators/{generator}", tag = "generators",
    params(("generator" = String, Path, description = "Id or name"), Preview, IfMatch, Agreed),
    responses((status = 204),
        (status = 200, body = Plan, description = "With `plan=only`")))]
pub(super) async fn delete(
    State(broker): State<Arc<Broker>>,
    Path(generator): Path<Reference>,
    expected: IfMatch,
    agreed: Agreed,
    Query(preview): Query<Preview>,
) -> Result<Response> {
    let delete = changes::generators::DeleteGenerator {
        generator,
        expected,
    };
    preview
        .or_change(&broker, &agreed.caller, agreed.to(delete), |()| {
            StatusCode::NO_CONTENT.into_response()
        })
        .await
}
