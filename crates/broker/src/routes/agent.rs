//! The agent's protocol. Unknown fields are ignored, so that versions may differ.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use brokkr_core::AgentId;
use brokkr_core::targeting::Facts;
use brokkr_core::wire::{
    ConfirmationReport, Confirmations, EventReport, HeldLoss, MAX_WAIT_SECONDS, REVISION_HEADER,
    STATE_HEADER, StatusReport, TargetState,
};
use http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::IntoParams;

use crate::Broker;
use crate::changes::agents::ReportFacts;
use crate::changes::removals::ConfirmRemovals;
use crate::changes::reports::{RecordEvents, RecordStatus};
use crate::error::{Error, Result};
use crate::extract::{Json, Query};
use crate::fleet::{Etag, Freshness, Seat, StateToken};
use crate::metrics::count;
use crate::requests::InHand;
use crate::rights::Itself;
use crate::scope::Caller;
use crate::session::Session;
use crate::store::agents;

/// How an agent polls.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Poll {
    /// Answer at the next change, or after so many seconds (at most 50). 0 answers at once.
    #[serde(default)]
    wait: u64,
    /// How soon the agent polls again, in seconds; it counts as silent after three of them, and 150 s at least.
    #[serde(default)]
    interval: u64,
}

/// The whole of what the agent should do. With the `ETag` of what it has, it learns of changes only. It returns the epoch
/// and the state token that it accepted last as `Brokkr-State: EPOCH.TOKEN`: by that the broker sees that its database lost
/// history.
/// `Brokkr-Requests` names the requests that it has in hand, at most 16, separated by commas: only others end a wait.
#[utoipa::path(get, path = "/agent/target-state", tag = "agent protocol", params(Poll, InHand),
    responses((status = 200, body = TargetState), (status = 304, description = "Nothing new")))]
pub(super) async fn target_state(
    State(broker): State<Arc<Broker>>,
    Itself(agent): Itself,
    caller: Caller,
    session: Session,
    Query(poll): Query<Poll>,
    headers: HeaderMap,
) -> Result<Response> {
    if broker.fleet.freshness() == Freshness::Lost {
        return Err(Error::database_lost());
    }
    let seat = broker
        .fleet
        .seat(agent)
        .ok_or_else(|| gone(&broker, agent))?;
    let token = headers.get(STATE_HEADER).and_then(StateToken::read);
    let known = Known {
        etag: headers.get(IF_NONE_MATCH).and_then(Etag::read),
        in_hand: InHand::read(&headers)?,
        session,
    };
    drop(headers);
    poll.note(&seat, &broker);
    let wait = async |deadline| {
        wait_for_news(&broker, &caller, agent, &seat, &known, &poll, deadline).await
    };
    let deadline = poll.deadline(&broker);
    loop {
        let load = token.map(|_| broker.fleet.load_number());
        if let Some(token) = token {
            broker.recognise(&caller, agent, &seat, token).await?;
        }
        if let Some(deadline) = deadline {
            wait(deadline).await?;
        }
        let answer = answer(&broker, agent, &seat, &known)?;
        // What was loaded anew meanwhile may be another history.
        if load.is_none_or(|load| load == broker.fleet.load_number()) {
            return Ok(answer);
        }
    }
}

/// What an agent has when it polls.
struct Known {
    etag: Option<Etag>,
    in_hand: InHand,
    session: Session,
}

impl Known {
    /// Whether the agent is asked something that it does not have in hand, and may answer.
    fn is_asked_more(&self, broker: &Broker, agent: AgentId) -> bool {
        let now = broker.ambient.now();
        self.session.is_named() && broker.fleet.is_asked(agent, &self.in_hand, now)
    }
}

/// What there is to say at this moment to an agent that knows a state.
fn answer(broker: &Broker, agent: AgentId, seat: &Seat, known: &Known) -> Result<Response> {
    let gone = || gone(broker, agent);
    let etag = broker.fleet.etag(agent, seat).ok_or_else(gone)?;
    if known.etag == Some(etag) && !known.is_asked_more(broker, agent) {
        return Ok((StatusCode::NOT_MODIFIED, poll_headers(broker, etag)).into_response());
    }
    let (state, etag) = broker
        .fleet
        .target_state(agent, seat, broker.ambient.now())
        .ok_or_else(gone)?;
    Ok((poll_headers(broker, etag), Json(state)).into_response())
}

/// How an agent is refused that was there when its request came.
fn gone(broker: &Broker, agent: AgentId) -> Error {
    if broker.fleet.is_retired(agent) {
        Error::AgentRetired(agent)
    } else {
        Error::Unauthenticated
    }
}

/// Returns when the agent's state is not the one that it knows, when it is asked something, or when waiting is over. The end of a key wakes
/// the agent's polls, and ends those that came with it; so does the end of a session.
async fn wait_for_news(
    broker: &Broker,
    caller: &Caller,
    agent: AgentId,
    seat: &Seat,
    known: &Known,
    poll: &Poll,
    deadline: Instant,
) -> Result<()> {
    let _waiting = broker.metrics.wait();
    loop {
        let mut changed = pin!(seat.changed());
        // A change between reading the tag and waiting must not be missed.
        changed.as_mut().enable();
        if !broker.fleet.is_key_good(caller, broker.ambient.now()) {
            return Err(Error::Unauthenticated);
        }
        if broker.fleet.is_retired(agent) {
            return Err(gone(broker, agent));
        }
        broker.fleet.is_of_latest_session(caller, known.session)?;
        if broker.fleet.etag(agent, seat) != known.etag || known.is_asked_more(broker, agent) {
            return Ok(());
        }
        tokio::select! {
            () = changed => {}
            () = tokio::time::sleep_until(deadline) => return Ok(()),
            () = broker.stopping.cancelled() => return Ok(()),
        }
        poll.note(seat, broker);
    }
}

impl Poll {
    /// When waiting is over; a poll that does not wait costs nothing for it.
    fn deadline(&self, broker: &Broker) -> Option<Instant> {
        let wait = self.wait.min(MAX_WAIT_SECONDS);
        (wait > 0).then(|| Instant::now() + broker.spread(wait))
    }

    /// Who polls, or still waits, is there.
    fn note(&self, seat: &Seat, broker: &Broker) {
        seat.beat(broker.ambient.now(), self.interval.max(self.wait));
    }
}

fn poll_headers(broker: &Broker, etag: Etag) -> [(HeaderName, HeaderValue); 3] {
    [
        (ETAG, etag.header()),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            HeaderName::from_static(REVISION_HEADER),
            HeaderValue::from(broker.fleet.revision()),
        ),
    ]
}

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

impl Broker {
    /// A wait of so many seconds, up to a tenth shorter or longer, so that agents that came together do not
    /// come back together.
    fn spread(&self, seconds: u64) -> Duration {
        let mut byte = [0];
        self.ambient.fill(&mut byte);
        Duration::from_secs(seconds).mul_f64(0.9 + 0.2 * f64::from(byte[0]) / 255.0)
    }
}
