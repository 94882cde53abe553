use std::sync::Arc;

use axum::extract::State;
use brokkr_core::name::Reference;
use brokkr_core::wire::Explanation;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::Broker;
use crate::error::Result;
use crate::extract::{Json, Query};
use crate::scope::Scope;
use crate::store::agent_targets::{self, OpenTarget};
use crate::store::{agents, held_facts, stacks};
use crate::targeting;

/// What to explain.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ExplainQuery {
    /// The agent: id or name.
    #[param(value_type = String)]
    agent: Reference,
    /// The stack: id, name or generator:name.
    #[param(value_type = String)]
    stack: Reference,
}

/// Explains why an agent runs a stack, or why it does not.
#[utoipa::path(get, path = "/explain", tag = "agent targets", params(ExplainQuery),
    responses((status = 200, body = Explanation)))]
pub(super) async fn explain(
    State(broker): State<Arc<Broker>>,
    scope: Scope,
    Query(query): Query<ExplainQuery>,
) -> Result<Json<Explanation>> {
    let mut tx = broker.db.read().await?;
    let agent = agents::find(&query.agent, &scope, &mut tx).await?;
    let stack = stacks::find(&query.stack, &scope, &mut tx).await?;
    let open = agent_targets::between(agent.id, stack.stack.id, &mut tx).await?;
    let direct = matches!(open, Some(OpenTarget::Active(target, _)) if target.direct);
    let held = held_facts::of_agent(agent.id, &mut tx).await?;
    Ok(Json(targeting::explain(&agent, &stack, direct, &held)))
}
