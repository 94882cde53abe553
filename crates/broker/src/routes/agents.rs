use std::sync::Arc;

use axum::extract::State;
use brokkr_core::name::Reference;
use brokkr_core::wire::{Agent, CreateAgent, CreatedAgent, Page};
use http::StatusCode;

use crate::Broker;
use crate::changes;
use crate::error::Result;
use crate::extract::{Json, Path, Query};
use crate::page::PageQuery;
use crate::store::agents;

/// Lists agents. A generator sees those in its scope.
#[utoipa::path(get, path = "/agents", tag = "agents", params(PageQuery),
    responses((status = 200, body = Page<Agent>)))]
pub(super) async fn list(
    State(broker): State<Arc<Broker>>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Agent>>> {
    let window = page.window()?;
    let rows = agents::list(&window, &mut broker.db.read().await?).await?;
    let items = rows.into_iter().map(|row| broker.agent(row)).collect();
    Ok(Json(window.page(items, |agent: &Agent| agent.id.uuid())))
}

/// Registers an agent. The answer holds its key, which is shown this once.
#[utoipa::path(post, path = "/agents", tag = "agents", request_body = CreateAgent,
    responses((status = 201, body = CreatedAgent)))]
pub(super) async fn create(
    State(broker): State<Arc<Broker>>,
    Json(CreateAgent { name }): Json<CreateAgent>,
) -> Result<(StatusCode, Json<CreatedAgent>)> {
    let (row, pak) = broker.change(changes::agents::CreateAgent { name }).await?;
    let created = CreatedAgent {
        agent: broker.agent(row),
        pak: pak.expose().to_owned(),
    };
    Ok((StatusCode::CREATED, Json(created)))
}

/// Shows an agent.
#[utoipa::path(get, path = "/agents/{agent}", tag = "agents",
    params(("agent" = String, Path, description = "Id or name")), responses((status = 200, body = Agent)))]
pub(super) async fn get(
    State(broker): State<Arc<Broker>>,
    Path(agent): Path<Reference>,
) -> Result<Json<Agent>> {
    let row = agents::find(&agent, &mut broker.db.read().await?).await?;
    Ok(Json(broker.agent(row)))
}

/// Deletes an agent that has nothing left to run or to remove. Its keys die with it.
#[utoipa::path(delete, path = "/agents/{agent}", tag = "agents",
    params(("agent" = String, Path, description = "Id or name")), responses((status = 204)))]
pub(super) async fn delete(
    State(broker): State<Arc<Broker>>,
    Path(agent): Path<Reference>,
) -> Result<StatusCode> {
    broker
        .change(changes::agents::DeleteAgent { agent })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
