//! The fleet at a glance.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use brokkr_core::AgentId;
use brokkr_core::name::Reference;
use brokkr_core::wire::{Glance, Page, StackCounts};

use crate::Broker;
use crate::error::Result;
use crate::extract::{Json, Path, Query};
use crate::page::PageQuery;
use crate::scope::Scope;
use crate::store::Tx;
use crate::store::agents::{self, AgentRow};
use crate::store::target_status::{self, Told};

/// Lists agents with how many of their stacks are how. A generator sees the agents in its scope, and counts its own stacks.
#[utoipa::path(get, path = "/fleet", tag = "agents", params(PageQuery),
    responses((status = 200, body = Page<Glance>)))]
pub(super) async fn list(
    State(broker): State<Arc<Broker>>,
    scope: Scope,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Glance>>> {
    let mut page = query.page_by_id()?;
    let mut tx = broker.db.read().await?;
    while let Some(window) = page.wanted() {
        let rows = agents::list(&scope, window, &mut tx).await?;
        let glances = glances(&broker, rows, &scope, &mut tx).await?;
        page.add(glances.into_iter().map(|glance| (glance.id.uuid(), glance)));
    }
    Ok(Json(page.page()))
}

/// Shows one agent as the list does.
#[utoipa::path(get, path = "/fleet/{agent}", tag = "agents",
    params(("agent" = String, Path, description = "Id or name")),
    responses((status = 200, body = Glance)))]
pub(super) async fn get(
    State(broker): State<Arc<Broker>>,
    scope: Scope,
    Path(agent): Path<Reference>,
) -> Result<Json<Glance>> {
    let mut tx = broker.db.read().await?;
    let row = agents::find(&agent, &scope, &mut tx).await?;
    let told = target_status::of_agents(row.id, row.id, &scope, &mut tx).await?;
    Ok(Json(glance(&broker, row, &told)))
}

/// Agents that follow each other in the order of their ids, with what is told of their stacks.
async fn glances(
    broker: &Broker,
    rows: Vec<AgentRow>,
    scope: &Scope,
    tx: &mut Tx,
) -> Result<Vec<Glance>> {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return Ok(Vec::new());
    };
    let told = target_status::of_agents(first.id, last.id, scope, tx).await?;
    let mut by_agent: HashMap<AgentId, Vec<Told>> = HashMap::new();
    for told in told {
        by_agent.entry(told.agent).or_default().push(told);
    }
    let glances = rows.into_iter().map(|row| {
        let told = by_agent.remove(&row.id).unwrap_or_default();
        glance(broker, row, &told)
    });
    Ok(glances.collect())
}

fn glance(broker: &Broker, row: AgentRow, told: &[Told]) -> Glance {
    let agent = broker.agent(row);
    let mut stacks = StackCounts::default();
    for told in told {
        let (sync, health) = told.observed(agent.silent);
        stacks.add(sync, health);
    }
    Glance {
        id: agent.id,
        name: agent.name,
        labels: agent.labels,
        paused: agent.paused,
        retiring: agent.retiring,
        version: agent.version,
        last_seen: agent.last_seen,
        silent: agent.silent,
        stacks,
    }
}
