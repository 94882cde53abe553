use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use brokkr_core::name::Reference;
use brokkr_core::wire::{AgentTarget, CreateAgentTarget, Page, Plan, Removal};
use brokkr_core::{AgentTargetId, Digest};
use http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::kept_kinds::RemovalQuery;
use super::preview::{Agreed, Preview};
use crate::Broker;
use crate::changes;
use crate::changes::losses::{DecideLoss, Verdict};
use crate::error::Result;
use crate::extract::{IdempotencyKey, Json, Path, Query};
use crate::idempotency::Once;
use crate::page::{Filling, PageQuery};
use crate::scope::{Caller, Scope};
use crate::store::agent_targets::{self, Filter};
use crate::store::{Tx, agents, losses, stacks};

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
    fn page<T>(&self) -> Result<Filling<Uuid, T>> {
        PageQuery {
            limit: self.limit,
            cursor: self.cursor.clone(),
        }
        .page_by_id()
    }

    async fn filter(&self, scope: &Scope, tx: &mut Tx) -> Result<Filter> {
        let mut filter = Filter {
            agent: None,
            stack: None,
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
    let mut page = query.page()?;
    let mut tx = broker.db.read().await?;
    let filter = query.filter(&scope, &mut tx).await?;
    while let Some(window) = page.wanted() {
        let rows = agent_targets::list(&filter, &scope, window, &mut tx).await?;
        page.add(rows.into_iter().map(|target| (target.id.uuid(), target)));
    }
    Ok(Json(page.page()))
}

/// Makes an agent responsible for a stack. A removal that the agent has not confirmed yet is withdrawn.
#[utoipa::path(post, path = "/agent-targets", tag = "agent targets", request_body = CreateAgentTarget,
    params(Preview, IdempotencyKey), responses((status = 201, body = AgentTarget),
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
    params(("target" = AgentTargetId, Path), RemovalQuery, Agreed), responses((status = 204),
        (status = 200, body = Plan, description = "With `plan=only`")))]
pub(super) async fn delete(
    State(broker): State<Arc<Broker>>,
    scope: Scope,
    Path(target): Path<AgentTargetId>,
    agreed: Agreed,
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
        .or_change(&broker, &agreed.caller, agreed.to(end), |()| {
            StatusCode::NO_CONTENT.into_response()
        })
        .await
}

/// Lists what agents are to take out of their clusters: removals that they have not confirmed yet, and losses that
/// they hold until somebody approves or refuses them.
#[utoipa::path(get, path = "/removals", tag = "agent targets", params(LinkQuery),
    responses((status = 200, body = Page<Removal>)))]
pub(super) async fn removals(
    State(broker): State<Arc<Broker>>,
    scope: Scope,
    Query(query): Query<LinkQuery>,
) -> Result<Json<Page<Removal>>> {
    let mut page = query.page()?;
    let mut tx = broker.db.read().await?;
    let filter = query.filter(&scope, &mut tx).await?;
    while let Some(window) = page.wanted() {
        let rows = losses::list(&filter, &scope, window, &mut tx).await?;
        page.add(rows.into_iter().map(|removal| (removal.id.uuid(), removal)));
    }
    Ok(Json(page.page()))
}

/// What somebody saw who decides about a loss.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct SeenLoss {
    /// The digest of the held loss that was seen: if it is another one by now, nothing is decided, and the answer is 409.
    loss: Option<Digest>,
}

/// Approves a loss: the agent deletes the objects of a removal, or just those that it holds.
#[utoipa::path(post, path = "/removals/{target}/approve", tag = "agent targets",
    params(("target" = AgentTargetId, Path, description = "The id that `GET /removals` shows"), SeenLoss),
    responses((status = 204)))]
pub(super) async fn approve(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    scope: Scope,
    Path(target): Path<AgentTargetId>,
    Query(seen): Query<SeenLoss>,
) -> Result<StatusCode> {
    decide(&broker, &caller, scope, target, Verdict::Approve, seen).await
}

/// Refuses a loss: the objects of a removal, or those that the agent holds, stay and are nobody's from then on.
#[utoipa::path(post, path = "/removals/{target}/refuse", tag = "agent targets",
    params(("target" = AgentTargetId, Path, description = "The id that `GET /removals` shows"), SeenLoss),
    responses((status = 204)))]
pub(super) async fn refuse(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    scope: Scope,
    Path(target): Path<AgentTargetId>,
    Query(seen): Query<SeenLoss>,
) -> Result<StatusCode> {
    decide(&broker, &caller, scope, target, Verdict::Refuse, seen).await
}

async fn decide(
    broker: &Broker,
    caller: &Caller,
    scope: Scope,
    target: AgentTargetId,
    verdict: Verdict,
    seen: SeenLoss,
) -> Result<StatusCode> {
    let decision = DecideLoss {
        scope,
        target,
        verdict,
        seen: seen.loss,
    };
    broker.change(caller.actor(), decision).await?;
    Ok(StatusCode::NO_CONTENT)
}
