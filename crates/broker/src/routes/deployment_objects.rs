use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use brokkr_core::DeploymentObjectId;
use brokkr_core::name::Reference;
use brokkr_core::wire::{DeploymentObject, Page, Publish, PublishOptions, Published, Rollback};
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use utoipa::IntoParams;

use super::kept_kinds::kept_kinds;
use super::preview::{Agreed, MadeOrPlanned, Only, Preview};
use crate::Broker;
use crate::changes::publish::{PublishOutcome, PublishSnapshot, RollBack};
use crate::contents::Wanted;
use crate::error::{Error, Result};
use crate::extract::{self, IdempotencyKey, Json, Path, Query};
use crate::idempotency::Once;
use crate::memory::Accounted;
use crate::page::PageQuery;
use crate::rights::Reader;
use crate::scope::{Caller, Scope};
use crate::snapshot;
use crate::store::{deployment_objects, stacks};

/// How a raw YAML upload is published.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PublishQuery {
    /// Why, in the author's words.
    message: Option<String>,
    /// Refuse unless the head has this sequence (0: no head yet).
    expect_sequence: Option<u64>,
    /// Kept kinds whose objects may be deleted where this snapshot drops them, separated by commas.
    allow_delete: Option<String>,
    /// `only`: answer with the plan of what the snapshot would drop, and store nothing.
    #[param(inline)]
    plan: Option<Only>,
}

impl PublishQuery {
    fn options(self) -> Result<PublishOptions> {
        Ok(PublishOptions {
            allow_delete: kept_kinds(self.allow_delete.as_deref())?,
            message: self.message,
            expect_sequence: self.expect_sequence,
        })
    }
}

/// Publishes a snapshot: JSON with the manifests as text, or the raw YAML with the options in the query.
/// 201 if it is the stack's new head, 200 if the head has this content already or if it is only planned.
#[utoipa::path(post, path = "/stacks/{stack}/deployment-objects", tag = "deployment objects",
    params(("stack" = String, Path, description = "Id, name or generator:name"), PublishQuery, IdempotencyKey, Agreed),
    request_body(content((Publish = "application/json"), (serde_json::Value = "application/yaml"))),
    responses((status = 201, body = Published), (status = 200, body = MadeOrPlanned<Published>)))]
pub(super) async fn publish(
    State(broker): State<Arc<Broker>>,
    scope: Scope,
    Path(stack): Path<Reference>,
    IdempotencyKey(key): IdempotencyKey,
    agreed: Agreed,
    Query(query): Query<PublishQuery>,
    request: Request,
) -> Result<Response> {
    let preview = Preview { plan: query.plan };
    let Publish { manifests, options } = read_publish(query, request).await?;
    check_message(&options)?;
    let manifests: Arc<str> = manifests.into();
    let mut namespace = default_namespace(&broker, &stack, &scope).await?;
    loop {
        let snapshot =
            snapshot::prepare(Arc::clone(&manifests), namespace, &broker.rooms.reading).await?;
        let mutation = PublishSnapshot {
            scope: scope.clone(),
            stack: stack.clone(),
            snapshot,
            options: options.clone(),
        };
        let publish = Once {
            key: key.clone(),
            mutation: agreed.to(mutation),
        };
        match preview.made(&broker, &agreed.caller, publish).await? {
            (PublishOutcome::NamespaceChanged, _) => {
                namespace = default_namespace(&broker, &stack, &scope).await?;
            }
            (PublishOutcome::Published(_), Some(plan)) => return Ok(Json(plan).into_response()),
            (PublishOutcome::Published(published), None) => return Ok(answer(published)),
        }
    }
}

pub(super) async fn default_namespace(
    broker: &Broker,
    stack: &Reference,
    scope: &Scope,
) -> Result<Option<String>> {
    let stack = stacks::find(stack, scope, &mut broker.db.read().await?)
        .await?
        .stack;
    Ok(stack.options.default_namespace)
}

async fn read_publish(query: PublishQuery, request: Request) -> Result<Publish> {
    let headers = request.headers();
    if extract::has_type(
        headers,
        &["application/yaml", "application/x-yaml", "text/yaml"],
    ) {
        let body = extract::body(request).await?;
        let manifests = String::from_utf8(body)
            .map_err(|_| Error::Malformed("the manifests are not UTF-8 text".to_owned()))?;
        return Ok(Publish {
            manifests,
            options: query.options()?,
        });
    }
    if extract::has_type(headers, &["application/json"]) {
        return extract::json(&extract::body(request).await?);
    }
    Err(Error::UnsupportedMediaType(
        "send JSON (`Content-Type: application/json`) or raw YAML (`application/yaml`)".to_owned(),
    ))
}

/// Publishes an older snapshot's content again, as a new deployment object.
#[utoipa::path(post, path = "/stacks/{stack}/rollback", tag = "deployment objects", request_body = Rollback,
    params(("stack" = String, Path, description = "Id, name or generator:name"), Preview, IdempotencyKey, Agreed),
    responses((status = 201, body = Published), (status = 200, body = MadeOrPlanned<Published>)))]
pub(super) async fn rollback(
    State(broker): State<Arc<Broker>>,
    scope: Scope,
    Path(stack): Path<Reference>,
    IdempotencyKey(key): IdempotencyKey,
    agreed: Agreed,
    Query(preview): Query<Preview>,
    Json(Rollback { to, options }): Json<Rollback>,
) -> Result<Response> {
    check_message(&options)?;
    let mutation = RollBack {
        scope,
        stack,
        to,
        options,
    };
    let mutation = agreed.to(mutation);
    let once = Once { key, mutation };
    preview
        .or_change(&broker, &agreed.caller, once, answer)
        .await
}

/// Longer messages belong beside the manifests' source.
const MAX_MESSAGE: usize = 4_096;

fn check_message(options: &PublishOptions) -> Result<()> {
    let message = options.message.as_deref().unwrap_or_default();
    if message.len() > MAX_MESSAGE || message.contains('\0') {
        let reason =
            format!("a message is text of at most {MAX_MESSAGE} bytes, without NUL characters");
        return Err(Error::invalid("/options/message", reason));
    }
    Ok(())
}

fn answer(published: Published) -> Response {
    let status = if published.unchanged {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    (status, Json(published)).into_response()
}

/// Lists the snapshots of a stack, newest first.
#[utoipa::path(get, path = "/stacks/{stack}/deployment-objects", tag = "deployment objects",
    params(("stack" = String, Path, description = "Id, name or generator:name"), PageQuery),
    responses((status = 200, body = Page<DeploymentObject>)))]
pub(super) async fn history(
    State(broker): State<Arc<Broker>>,
    scope: Scope,
    Path(stack): Path<Reference>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<DeploymentObject>>> {
    let mut page = query.page(u64::MAX)?;
    let mut tx = broker.db.read().await?;
    let stack = stacks::find(&stack, &scope, &mut tx).await?.stack;
    while let Some(window) = page.wanted() {
        let rows = deployment_objects::history(stack.id, window, &mut tx).await?;
        page.add(rows.into_iter().map(|object| (object.sequence, object)));
    }
    Ok(Json(page.page()))
}

/// Shows a snapshot.
#[utoipa::path(get, path = "/deployment-objects/{id}", tag = "deployment objects",
    params(("id" = DeploymentObjectId, Path)), responses((status = 200, body = DeploymentObject)))]
pub(super) async fn get(
    State(broker): State<Arc<Broker>>,
    scope: Scope,
    Path(id): Path<DeploymentObjectId>,
) -> Result<Json<DeploymentObject>> {
    Ok(Json(
        deployment_objects::find(id, &scope, &mut broker.db.read().await?)
            .await?
            .object,
    ))
}

/// The manifests of a snapshot, as they were published. An agent reads those of the stacks that it runs.
#[utoipa::path(get, path = "/deployment-objects/{id}/manifests", tag = "deployment objects",
    params(("id" = DeploymentObjectId, Path)),
    responses((status = 200, body = serde_json::Value, content_type = "application/yaml")))]
pub(super) async fn manifests(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    reader: Reader,
    Path(id): Path<DeploymentObjectId>,
    headers: HeaderMap,
) -> Result<Response> {
    let wanted = visible(&broker, &reader, id).await?;
    let etag = format!("\"{}\"", wanted.digest);
    let etag = HeaderValue::try_from(etag).map_err(Error::internal)?;
    let common: [(HeaderName, HeaderValue); 4] = [
        (CONTENT_TYPE, HeaderValue::from_static("application/yaml")),
        (
            CACHE_CONTROL,
            HeaderValue::from_static("private, max-age=31536000, immutable"),
        ),
        (VARY, HeaderValue::from_static("accept-encoding")),
        (ETAG, etag),
    ];
    if accepts_zstd(&headers) {
        return Ok((
            common,
            [(CONTENT_ENCODING, HeaderValue::from_static("zstd"))],
            Extension(Accounted),
            broker
                .contents
                .compressed(&wanted, &caller, &broker.rooms)
                .await?,
        )
            .into_response());
    }
    let text = broker
        .contents
        .text(&wanted, &caller, &broker.rooms)
        .await?;
    Ok((common, Extension(Accounted), text).into_response())
}

/// The content of a snapshot, if its reader may see it. What an agent is to run now is known without the database.
async fn visible(broker: &Broker, reader: &Reader, id: DeploymentObjectId) -> Result<Wanted> {
    let row = match reader {
        Reader::Owner(scope) => {
            deployment_objects::find(id, scope, &mut broker.db.read().await?).await?
        }
        Reader::Runner(agent) => {
            if let Some(wanted) = broker.fleet.content(*agent, id) {
                return Ok(wanted);
            }
            let mut tx = broker.db.read().await?;
            let row = deployment_objects::find(id, &Scope::All, &mut tx).await?;
            if !broker.fleet.runs(*agent, row.object.stack) {
                return Err(Error::NotFound("deployment object"));
            }
            row
        }
    };
    Ok(Wanted {
        owner: row.owner,
        digest: row.object.digest,
        default_namespace: row.object.default_namespace,
    })
}

fn accepts_zstd(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get(ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    accepted
        .split(',')
        .any(|coding| coding.split(';').next().unwrap_or_default().trim() == "zstd")
}
