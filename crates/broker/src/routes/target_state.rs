//! What an agent polls: its target state, when it is not the one that it has.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use brokkr_core::AgentId;
use brokkr_core::wire::{MAX_WAIT_SECONDS, REVISION_HEADER, STATE_HEADER, TargetState};
use http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::IntoParams;

use crate::Broker;
use crate::error::{Error, Result};
use crate::extract::{Json, Query};
use crate::fleet::{Etag, Freshness, News, Seat, StateToken};
use crate::requests::InHand;
use crate::rights::Itself;
use crate::scope::Caller;
use crate::session::Session;

/// How an agent polls.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Habit {
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
#[utoipa::path(get, path = "/agent/target-state", tag = "agent protocol", params(Habit, InHand),
    responses((status = 200, body = TargetState), (status = 304, description = "Nothing new")))]
#[expect(
    clippy::manual_async_fn,
    reason = "an async function would hold its argument twice while it waits"
)]
pub(super) fn target_state(poll: Poll) -> impl Future<Output = Result<Response>> {
    async move { poll.answer().await }
}

/// A poll: who asks, and what it has. One that waits lies in memory for each agent: it holds nothing else of its request.
pub(super) struct Poll {
    broker: Arc<Broker>,
    seat: Arc<Seat>,
    agent: AgentId,
    caller: Caller,
    session: Session,
    habit: Habit,
    etag: Option<Etag>,
    /// What it returns of the state that it accepted last.
    token: Option<StateToken>,
    in_hand: InHand,
}

impl FromRequestParts<Arc<Broker>> for Poll {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, broker: &Arc<Broker>) -> Result<Self> {
        let Itself(agent) = Itself::from_request_parts(parts, broker).await?;
        let Query(habit) = Query::from_request_parts(parts, broker).await?;
        if broker.fleet.freshness() == Freshness::Lost {
            return Err(Error::database_lost());
        }
        let seat = broker.fleet.seat(agent);
        let headers = &parts.headers;
        Ok(Self {
            seat: seat.ok_or_else(|| gone(broker, agent))?,
            agent,
            habit,
            etag: headers.get(IF_NONE_MATCH).and_then(Etag::read),
            token: headers.get(STATE_HEADER).and_then(StateToken::read),
            in_hand: InHand::read(headers)?,
            caller: Caller::from_request_parts(parts, broker).await?,
            session: Session::from_request_parts(parts, broker).await?,
            broker: Arc::clone(broker),
        })
    }
}

impl Poll {
    async fn answer(&self) -> Result<Response> {
        let Self { broker, seat, .. } = self;
        self.note();
        let deadline = self.deadline();
        loop {
            let load = self.token.map(|_| broker.fleet.load_number());
            if let Some(token) = self.token {
                broker
                    .recognise(&self.caller, self.agent, seat, token)
                    .await?;
            }
            let news = match deadline {
                Some(deadline) => self.wait(deadline).await?,
                None => self.news()?,
            };
            // What was loaded anew meanwhile may be another history.
            if load.is_none_or(|load| load == broker.fleet.load_number()) {
                return Ok(told(broker, news));
            }
        }
    }

    /// What there is to say once the agent's state is not the one that it knows, once it is asked something, or when waiting is over. The
    /// end of a key wakes the agent's polls, and ends those that came with it; so does the end of a session.
    async fn wait(&self, deadline: Instant) -> Result<News> {
        let Self { broker, seat, .. } = self;
        let _waiting = broker.metrics.wait();
        loop {
            let mut changed = pin!(seat.changed());
            // A change between reading the tag and waiting must not be missed.
            changed.as_mut().enable();
            if !broker.fleet.is_key_good(&self.caller, broker.ambient.now()) {
                return Err(Error::Unauthenticated);
            }
            if broker.fleet.is_retired(self.agent) {
                return Err(gone(broker, self.agent));
            }
            broker
                .fleet
                .is_of_latest_session(&self.caller, self.session)?;
            let news = self.news()?;
            if let News::State(..) = news {
                return Ok(news);
            }
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(deadline) => return Ok(news),
                () = broker.stopping.cancelled() => return Ok(news),
            }
            self.note();
        }
    }

    /// What there is to say at this moment. Only who may answer is asked something.
    fn news(&self) -> Result<News> {
        let in_hand = self.session.is_named().then_some(&self.in_hand);
        let now = self.broker.ambient.now();
        let fleet = &self.broker.fleet;
        let news = fleet.news(self.agent, &self.seat, self.etag, in_hand, now);
        news.ok_or_else(|| gone(&self.broker, self.agent))
    }

    /// When waiting is over; a poll that does not wait costs nothing for it.
    fn deadline(&self) -> Option<Instant> {
        let wait = self.habit.wait.min(MAX_WAIT_SECONDS);
        (wait > 0).then(|| Instant::now() + self.broker.spread(wait))
    }

    /// Who polls, or still waits, is there.
    fn note(&self) {
        let interval = self.habit.interval.max(self.habit.wait);
        self.seat.beat(self.broker.ambient.now(), interval);
    }
}

/// How an agent is refused that was there when its request came.
fn gone(broker: &Broker, agent: AgentId) -> Error {
    if broker.fleet.is_retired(agent) {
        Error::AgentRetired(agent)
    } else {
        Error::Unauthenticated
    }
}

fn told(broker: &Broker, news: News) -> Response {
    let headers = |etag: Etag| {
        [
            (ETAG, etag.header()),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (
                HeaderName::from_static(REVISION_HEADER),
                HeaderValue::from(broker.fleet.revision()),
            ),
        ]
    };
    match news {
        News::Nothing(etag) => (StatusCode::NOT_MODIFIED, headers(etag)).into_response(),
        News::State(state, etag) => (headers(etag), Json(state)).into_response(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn size<Asked, Work>(_: fn(Asked) -> Work) -> usize {
        size_of::<Work>()
    }

    #[test]
    fn a_poll_that_waits_is_small() {
        let bytes = size(target_state);
        assert!(bytes <= 896, "{bytes} bytes, ten thousand times");
    }
}
