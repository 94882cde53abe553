use std::sync::Arc;

use axum::extract::State;
use brokkr_core::wire::{AuditAction, ChainedEntry, Page};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::Broker;
use crate::error::Result;
use crate::extract::{Json, Query};
use crate::page::PageQuery;
use crate::store::audit::{self, Filter};

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
    let AuditQuery {
        action,
        actor,
        subject,
        limit,
        cursor,
    } = query;
    let filter = Filter {
        action,
        actor,
        subject,
    };
    let mut page = PageQuery { limit, cursor }.page(u64::MAX)?;
    let mut tx = broker.db.read().await?;
    while let Some(window) = page.wanted() {
        let rows = audit::list(filter, window, &mut tx).await?;
        let entries = rows.iter().map(|row| Ok((row.revision, row.read()?)));
        page.add(entries.collect::<Result<Vec<_>>>()?);
    }
    Ok(Json(page.page()))
}
