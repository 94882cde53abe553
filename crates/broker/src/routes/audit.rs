use std::sync::Arc;

use axum::extract::State;
use brokkr_core::wire::{AuditAction, ChainedEntry, Page};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::Broker;
use crate::error::Result;
use crate::extract::{Json, Query};
use crate::page;
use crate::store::audit::{self, AuditRow, Filter};

/// Which entries to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// Of this action.
    #[param(inline)]
    action: Option<AuditAction>,
    /// Made by the agent or generator with this id.
    actor: Option<Uuid>,
    /// About the thing with this id.
    subject: Option<Uuid>,
    /// At most so many rows: 1 to 500, 100 if absent.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// Lists who changed what, newest first.
#[utoipa::path(get, path = "/audit", tag = "audit", params(AuditQuery),
    responses((status = 200, body = Page<ChainedEntry>)))]
pub(super) async fn list(
    State(broker): State<Arc<Broker>>,
    Query(query): Query<AuditQuery>,
) -> Result<Json<Page<ChainedEntry>>> {
    let limit = page::limit(query.limit)?;
    let before = match &query.cursor {
        None => u64::MAX,
        Some(cursor) => cursor.parse().map_err(|_| page::invalid_cursor())?,
    };
    let filter = Filter {
        action: query.action,
        actor: query.actor,
        subject: query.subject,
    };
    let rows = audit::list(filter, before, limit + 1, &mut broker.db.read().await?).await?;
    let page = page::paged(rows, limit, |row| row.revision.to_string());
    let items: Result<_> = page.items.iter().map(AuditRow::read).collect();
    Ok(Json(Page {
        items: items?,
        next: page.next,
    }))
}
