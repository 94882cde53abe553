use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use brokkr_core::name::Reference;
use brokkr_core::wire::{
    Agent, CreateAgent, CreatedAgent, Page, PatchAgent, Plan, StackAtAgent, Workloads,
};
use http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::preview::{Agreed, MadeOrPlanned, Only, Preview};
use crate::Broker;
use crate::changes;
use crate::changes::retire::DeleteAgent;
use crate::error::Result;
use crate::extract::{IdempotencyKey, IfMatch, Json, Path, Query, entity_tag};
use crate::idempotency::Once;
use crate::page::PageQuery;
use crate::scope::{Caller, Scope};
use crate::store::agents;
use crate::store::target_status::{self, AtAgent};

/// Lists agents. A generator sees those in its scope.
#[utoipa::path(get, path = "/agents", tag = "agents", params(PageQuery),
    responses((status = 200, body = Page<Agent>)))]
pub(super) async fn list(
    State(broker): State<Arc<Broker>>,
    scope: Scope,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Agent>>> {
    let mut page = query.page_by_id()?;
    let mut tx = broker.db.read().await?;
    while let Some(window) = page.wanted() {
        let rows = agents::list(&scope, window, &mut tx).await?;
        page.add(
            rows.into_iter()
                .map(|row| (row.id.uuid(), broker.agent(row))),
        );
    }
    Ok(Json(page.page()))
}

/// Shows how each stack is doing at an agent, to a generator its own.
#[utoipa::path(get, path = "/agents/{agent}/status", tag = "agents",
    params(("agent" = String, Path, description = "Id or name"), PageQuery),
    responses((status = 200, body = Page<StackAtAgent>)))]
pub(super) async fn status(
    State(broker): State<Arc<Broker>>,
    scope: Scope,
    Path(agent): Path<Reference>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<StackAtAgent>>> {
    let mut page = query.page_by_id()?;
    let mut tx = broker.db.read().await?;
    let agent = agents::find(&agent, &scope, &mut tx).await?.id;
    while let Some(window) = page.wanted() {
        let rows = target_status::of_agent(agent, &scope, window, &mut tx).await?;
        page.add(rows.into_iter().map(|AtAgent { stack, heartbeat }| {
            let status = broker.observed(stack.status, heartbeat);
            (stack.target.uuid(), StackAtAgent { status, ..stack })
        }));
    }
    Ok(Json(page.page()))
}

/// Registers an agent. The answer holds its key, which is shown this once.
#[utoipa::path(post, path = "/agents", tag = "agents", request_body = CreateAgent,
    params(Preview, IdempotencyKey), responses((status = 201, body = CreatedAgent),
        (status = 200, body = Plan, description = "With `plan=only`")))]
pub(super) async fn create(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    Query(preview): Query<Preview>,
    IdempotencyKey(key): IdempotencyKey,
    Json(create): Json<CreateAgent>,
) -> Result<Response> {
    let once = Once {
        key,
        mutation: create,
    };
    preview
        .or_change(&broker, &caller, once, |(row, pak)| {
            let created = CreatedAgent {
                agent: broker.agent(row),
                pak: pak.expose().to_owned(),
            };
            (StatusCode::CREATED, Json(created)).into_response()
        })
        .await
}

/// Changes an agent (JSON Merge Patch): its labels and annotations, and with them which stacks it runs; whether it is paused.
#[utoipa::path(patch, path = "/agents/{agent}", tag = "agents", request_body = PatchAgent,
    params(("agent" = String, Path, description = "Id or name"), Preview, IfMatch, Agreed),
    responses((status = 200, body = MadeOrPlanned<Agent>)))]
pub(super) async fn patch(
    State(broker): State<Arc<Broker>>,
    Path(agent): Path<Reference>,
    expected: IfMatch,
    agreed: Agreed,
    Query(preview): Query<Preview>,
    Json(patch): Json<PatchAgent>,
) -> Result<Response> {
    let change = changes::agents::ChangeAgent {
        agent,
        expected,
        patch,
    };
    preview
        .or_change(&broker, &agreed.caller, agreed.to(change), |row| {
            (entity_tag(row.revision), Json(broker.agent(row))).into_response()
        })
        .await
}

/// Shows an agent.
#[utoipa::path(get, path = "/agents/{agent}", tag = "agents",
    params(("agent" = String, Path, description = "Id or name")), responses((status = 200, body = Agent)))]
pub(super) async fn get(
    State(broker): State<Arc<Broker>>,
    scope: Scope,
    Path(agent): Path<Reference>,
) -> Result<Response> {
    let row = agents::find(&agent, &scope, &mut broker.db.read().await?).await?;
    Ok((entity_tag(row.revision), Json(broker.agent(row))).into_response())
}

/// How an agent is deleted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Retirement {
    /// What becomes of what it runs; needed if it runs or removes anything. The agent finishes it, and is retired then.
    #[param(inline)]
    workloads: Option<Workloads>,
    /// Abandons it: it is retired at once, and its cluster stays as it is.
    #[serde(default)]
    force: bool,
    /// `only`: answer with the plan of what the change would end, and store nothing.
    #[param(inline)]
    plan: Option<Only>,
}

/// Deletes an agent. One that has something to run or to remove finishes that first, and is retiring meanwhile.
#[utoipa::path(delete, path = "/agents/{agent}", tag = "agents",
    params(("agent" = String, Path, description = "Id or name"), Retirement, IfMatch, Agreed),
    responses((status = 204, description = "It is retired"),
        (status = 202, body = Agent, description = "It is retiring"),
        (status = 200, body = Plan, description = "With `plan=only`")))]
pub(super) async fn delete(
    State(broker): State<Arc<Broker>>,
    Path(agent): Path<Reference>,
    expected: IfMatch,
    agreed: Agreed,
    Query(retirement): Query<Retirement>,
) -> Result<Response> {
    let Retirement {
        workloads,
        force,
        plan,
    } = retirement;
    let delete = DeleteAgent {
        agent,
        expected,
        workloads,
        force,
    };
    Preview { plan }
        .or_change(
            &broker,
            &agreed.caller,
            agreed.to(delete),
            |row| match row {
                None => StatusCode::NO_CONTENT.into_response(),
                Some(row) => (StatusCode::ACCEPTED, Json(broker.agent(row))).into_response(),
            },
        )
        .await
}
