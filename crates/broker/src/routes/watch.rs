//! What changes, as it changes: a stream that tells what to read again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use brokkr_core::name::Reference;
use brokkr_core::wire::Hint;
use futures::StreamExt;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

use crate::Broker;
use crate::error::{Error, Result};
use crate::extract::{Query, header};
use crate::fleet::Freshness;
use crate::limits::Kind;
use crate::scope::{Caller, Scope};
use crate::store::{agents, stacks};
use crate::watch::{self, Cursor, Sight};

/// A comment so often keeps proxies from cutting a stream on which nothing happens.
const ALIVE: Duration = Duration::from_secs(15);
/// What browsers send when they come back.
const LAST_EVENT: &str = "last-event-id";

/// What to watch.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WatchQuery {
    /// What concerns this stack: id, name or generator:name.
    #[param(value_type = Option<String>)]
    stack: Option<Reference>,
    /// What concerns this agent: id or name.
    #[param(value_type = Option<String>)]
    agent: Option<Reference>,
    /// The `id` of the last event that was seen.
    cursor: Option<String>,
}

/// The cursor as browsers return it.
pub(super) struct LastEvent(Option<String>);

impl IntoParams for LastEvent {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![header(
            "Last-Event-ID",
            "The same as `cursor`, as browsers send it when they come back; it goes before `cursor`.",
        )]
    }
}

impl LastEvent {
    fn read(headers: &HeaderMap) -> Self {
        let value = headers.get(LAST_EVENT);
        Self(value.map(|value| value.to_str().unwrap_or("?").to_owned()))
    }
}

/// Follows what changes among the caller's own rows, as server-sent events: each `hint` says what changed, and nothing more, so
/// that whoever shows it reads it again. An event's `id` is the cursor to come back with. `reset` says that it is not known what
/// changed: read everything again that you show, and go on from its `id`. A watch without a cursor begins with one.
///
/// What changes often is told once in a tenth of a second. Whether an agent is silent changes with time alone, and is not
/// told. A generator is told of its stacks and of the agents that have them. A stream ends when its key does, and with the
/// broker: come back with the cursor.
#[utoipa::path(get, path = "/watch", tag = "watch", params(WatchQuery, LastEvent),
    responses((status = 200, body = Hint, content_type = "text/event-stream")))]
pub(super) async fn watch(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    scope: Scope,
    Query(query): Query<WatchQuery>,
    headers: HeaderMap,
) -> Result<Response> {
    if broker.fleet.freshness() == Freshness::Lost {
        return Err(Error::database_lost());
    }
    let LastEvent(last) = LastEvent::read(&headers);
    let cursor = last.or(query.cursor);
    let cursor = cursor.map(|text| text.parse().map_err(|()| invalid_cursor()));
    let cursor: Option<Cursor> = cursor.transpose()?;
    let mut tx = broker.db.read().await?;
    let stack = match &query.stack {
        Some(stack) => Some(stacks::find(stack, &scope, &mut tx).await?.stack.id),
        None => None,
    };
    let agent = match &query.agent {
        Some(agent) => Some(agents::find(agent, &scope, &mut tx).await?.id),
        None => None,
    };
    drop(tx);
    let sight = Sight {
        scope,
        stack,
        agent,
    };
    let permit = broker.limits.permit(caller.key, Kind::Watch)?;
    let events = watch::stream(broker, caller, permit, sight, cursor);
    let events = Sse::new(events.map(Ok::<_, Infallible>));
    let headers = [
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Some proxies would collect the events otherwise.
        (
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ),
    ];
    let alive = KeepAlive::new().interval(ALIVE);
    Ok((headers, events.keep_alive(alive)).into_response())
}

fn invalid_cursor() -> Error {
    Error::invalid(
        "/cursor",
        "this is not a cursor: pass the `id` of the last event, unchanged, or leave it out",
    )
}
