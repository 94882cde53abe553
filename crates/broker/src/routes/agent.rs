//! What agents report. Unknown fields are ignored, so that versions may differ.

use std::sync::Arc;

use axum::extract::State;
use brokkr_core::targeting::Facts;
use brokkr_core::wire::{ConfirmationReport, Confirmations, EventReport, HeldLoss, StatusReport};
use http::StatusCode;

use crate::Broker;
use crate::changes::agents::ReportFacts;
use crate::changes::removals::ConfirmRemovals;
use crate::changes::reports::{RecordEvents, RecordStatus};
use crate::error::{Error, Result};
use crate::extract::Json;
use crate::metrics::count;
use crate::rights::Itself;
use crate::scope::Caller;
use crate::store::agents;

/// Reports removals that are done.
#[utoipa::path(post, path = "/agent/removals", tag = "agent protocol", request_body = ConfirmationReport,
    responses((status = 200, body = Confirmations)))]
pub(super) async fn confirm_removals(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    Itself(agent): Itself,
    Json(ConfirmationReport { removals }): Json<ConfirmationReport>,
) -> Result<Json<Confirmations>> {
    bounded("/removals", removals.len(), 1_000)?;
    Ok(Json(
        broker
            .change(caller.actor(), ConfirmRemovals { agent, removals })
            .await?,
    ))
}

/// Reports outcomes. They are durable when this answers; repeating a report changes nothing.
#[utoipa::path(post, path = "/agent/events", tag = "agent protocol", request_body = EventReport,
    responses((status = 204)))]
pub(super) async fn report_events(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    Itself(agent): Itself,
    Json(EventReport { events }): Json<EventReport>,
) -> Result<StatusCode> {
    let reported = events.len();
    bounded("/events", reported, 100)?;
    let events = events.into_iter().map(Arc::new).collect();
    broker
        .change(caller.actor(), RecordEvents { agent, events })
        .await?;
    count(&broker.metrics.events, reported);
    Ok(StatusCode::NO_CONTENT)
}

/// Reports what the agent found out about its cluster. New facts may admit it to rules; they never remove.
#[utoipa::path(put, path = "/agent/facts", tag = "agent protocol", request_body = Facts,
    responses((status = 204)))]
pub(super) async fn report_facts(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    Itself(agent): Itself,
    Json(facts): Json<Facts>,
) -> Result<StatusCode> {
    // What is known already is no change: it takes no revision.
    let known = agents::itself(agent, &mut broker.db.read().await?)
        .await?
        .facts;
    if known.as_ref() != Some(&facts) {
        broker
            .change(caller.actor(), ReportFacts { agent, facts })
            .await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Reports how stacks are doing. Stacks that are not listed keep what was reported before.
#[utoipa::path(put, path = "/agent/status", tag = "agent protocol", request_body = StatusReport,
    responses((status = 204)))]
pub(super) async fn report_status(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    Itself(agent): Itself,
    Json(StatusReport { stacks }): Json<StatusReport>,
) -> Result<StatusCode> {
    let reported = stacks.len();
    bounded("/stacks", reported, 1_000)?;
    for held in stacks.iter().filter_map(|status| status.held.as_ref()) {
        bounded("/stacks", held.objects.len(), HeldLoss::MOST)?;
    }
    let stacks = stacks.into_iter().map(Arc::new).collect();
    broker
        .change(caller.actor(), RecordStatus { agent, stacks })
        .await?;
    count(&broker.metrics.statuses, reported);
    Ok(StatusCode::NO_CONTENT)
}

fn bounded(pointer: &str, found: usize, most: usize) -> Result<()> {
    if found > most {
        return Err(Error::invalid(
            pointer,
            format!("a report has at most {most} entries: send several"),
        ));
    }
    Ok(())
}
