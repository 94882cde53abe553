use std::sync::Arc;

use axum::extract::State;
use brokkr_core::name::Reference;
use brokkr_core::wire::{Outcome, Page, RecordedEvent};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::Broker;
use crate::error::Result;
use crate::extract::{Json, Query};
use crate::page;
use crate::scope::{Caller, Scope};
use crate::store::agent_events::{self, EventRow, Filter, Position};
use crate::store::{agents, stacks};

/// Which events to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventQuery {
    /// Of this agent: id or name.
    #[param(value_type = Option<String>)]
    agent: Option<Reference>,
    /// Of this stack: id, name or generator:name. A name that no stack has any more is that of the one deleted last.
    #[param(value_type = Option<String>)]
    stack: Option<Reference>,
    /// That ended so.
    #[param(inline)]
    outcome: Option<Outcome>,
    /// At most so many rows: 1 to 500, 100 if absent. There are fewer where their objects make 512 KiB, and a `next` as long as there are more.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// Lists events, newest first.
#[utoipa::path(get, path = "/events", tag = "events", params(EventQuery),
    responses((status = 200, body = Page<RecordedEvent>)))]
pub(super) async fn list(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    scope: Scope,
    Query(query): Query<EventQuery>,
) -> Result<Json<Page<RecordedEvent>>> {
    let limit = page::limit(query.limit)?;
    let before = match &query.cursor {
        None => Position {
            ingest: u64::MAX,
            id: Uuid::max(),
        },
        Some(cursor) => parse(cursor).ok_or_else(page::invalid_cursor)?,
    };
    // What could not be sent is not read.
    let _room = broker.rooms.answers.take(caller.owner(), page::BYTES)?;
    let mut tx = broker.db.read().await?;
    let mut filter = Filter {
        outcome: query.outcome,
        ..Filter::default()
    };
    if let Some(agent) = &query.agent {
        filter.agent = Some(agents::find(agent, &scope, &mut tx).await?.id);
    }
    if let Some(stack) = &query.stack {
        filter.stack = Some(stacks::find_ever(stack, &scope, &mut tx).await?.stack.id);
    }
    let (rows, found) = agent_events::list(filter, &scope, before, limit + 1, &mut tx).await?;
    let page = page::clipped(rows, limit, found, |row: &EventRow| {
        format!("{}.{}", row.position.ingest, row.position.id.simple())
    });
    Ok(Json(Page {
        items: page.items.into_iter().map(|row| row.event).collect(),
        next: page.next,
    }))
}

fn parse(cursor: &str) -> Option<Position> {
    let (ingest, id) = cursor.split_once('.')?;
    Some(Position {
        ingest: ingest.parse().ok()?,
        id: id.parse().ok()?,
    })
}
