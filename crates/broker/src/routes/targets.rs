use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use brokkr_core::AgentTargetId;
use brokkr_core::name::Reference;
use brokkr_core::wire::{AgentTarget, CreateAgentTarget, Page, Plan, Removal};
use http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::kept_kinds::RemovalQuery;
use super::preview::Preview;
use crate::Broker;
use crate::changes;
use crate::error::Result;
use crate::extract::{IdempotencyKey, Json, Path, Query};
use crate::idempotency::Once;
use crate::page::{PageQuery, Window};
use crate::scope::{Caller, Scope};
use crate::store::agent_targets::{self, Filter, OpenTarget, State as TargetState};
use crate::store::{Tx, agents, stacks};

/// Which links between agents and stacks to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LinkQuery {
    /// Of this agent: id or name.
    #[param(value_type = Option<String>)]
    agent: Option<Reference>,
    /// Of this stack: id, name or generator:name.
    #[param(value_type = Option<String>)]
    stack: Option<Reference>,
    /// At most so many rows: 1 to 500, 100 if absent.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

impl LinkQuery {
    fn window(&self) -> Result<Window> {
        PageQuery {
            limit: self.limit,
            cursor: self.cursor.clone(),
        }
        .window()
    }

    async fn filter(&self, state: TargetState, scope: &Scope, tx: &mut Tx) -> Result<Filter> {
        let mut filter = Filter {
            agent: None,
            stack: None,
            state,
        };
        if let Some(agent) = &self.agent {
            filter.agent = Some(agents::find(agent, scope, tx).await?.id);
        }
        if let Some(stack) = &self.stack {
            filter.stack = Some(stacks::find(stack, scope, tx).await?.stack.id);
        }
        Ok(filter)
    }
}

/// Lists which agents run which stacks.
#[utoipa::path(get, path = "/agent-targets", tag = "agent targets", params(LinkQuery),
    responses((status = 200, body = Page<AgentTarget>)))]
pub(super) async fn list(
    State(broker): State<Arc<Broker>>,
    scope: Scope,
    Query(query): Query<LinkQuery>,
) -> Result<Json<Page<AgentTarget>>> {
    let window = query.window()?;
    let mut tx = broker.db.read().await?;
    let filter = query.filter(TargetState::Active, &scope, &mut tx).await?;
    let rows = agent_targets::list(&filter, &scope, &window, &mut tx).await?;
    let items = rows.into_iter().filter_map(|row| match row {
        OpenTarget::Active(target) => Some(target),
        OpenTarget::Removing(_) => None,
    });
    Ok(Json(
        window.page(items.collect(), |target| target.id.uuid()),
    ))
}

/// Makes an agent responsible for a stack. A removal that the agent has not confirmed yet is withdrawn.
#[utoipa::path(post, path = "/agent-targets", tag = "agent targets", request_body = CreateAgentTarget,
    params(Preview), responses((status = 201, body = AgentTarget),
        (status = 200, body = Plan, description = "With `plan=only`")))]
pub(super) async fn create(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    scope: Scope,
    Query(preview): Query<Preview>,
    IdempotencyKey(key): IdempotencyKey,
    Json(create): Json<CreateAgentTarget>,
) -> Result<Response> {
    let mutation = changes::targets::TargetDirectly { scope, create };
    let once = Once { key, mutation };
    preview
        .or_change(&broker, &caller, once, |target| {
            (StatusCode::CREATED, Json(target)).into_response()
        })
        .await
}

/// Ends an agent target that was made directly. The agent removes the stack from its cluster and confirms that,
/// unless a rule of the stack matches it too.
#[utoipa::path(delete, path = "/agent-targets/{target}", tag = "agent targets",
    params(("target" = AgentTargetId, Path), RemovalQuery), responses((status = 204),
        (status = 200, body = Plan, description = "With `plan=only`")))]
pub(super) async fn delete(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    scope: Scope,
    Path(target): Path<AgentTargetId>,
    Query(removal): Query<RemovalQuery>,
) -> Result<Response> {
    let end = changes::targets::EndAgentTarget {
        scope,
        target,
        policy: removal.policy,
        allow_delete: removal.allow_delete()?,
    };
    let preview = removal.preview();
    preview
        .or_change(&broker, &caller, end, |()| {
            StatusCode::NO_CONTENT.into_response()
        })
        .await
}

/// Lists removals that agents have not confirmed yet.
#[utoipa::path(get, path = "/removals", tag = "agent targets", params(LinkQuery),
    responses((status = 200, body = Page<Removal>)))]
pub(super) async fn removals(
    State(broker): State<Arc<Broker>>,
    scope: Scope,
    Query(query): Query<LinkQuery>,
) -> Result<Json<Page<Removal>>> {
    let window = query.window()?;
    let mut tx = broker.db.read().await?;
    let filter = query.filter(TargetState::Removing, &scope, &mut tx).await?;
    let rows = agent_targets::list(&filter, &scope, &window, &mut tx).await?;
    let items = rows.into_iter().filter_map(|row| match row {
        OpenTarget::Removing(removal) => Some(removal),
        OpenTarget::Active(_) => None,
    });
    Ok(Json(
        window.page(items.collect(), |removal| removal.id.uuid()),
    ))
}
