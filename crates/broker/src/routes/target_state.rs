//! What an agent polls: its target state, when it is not the one that it has.

use std::future::ready;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use brokkr_core::AgentId;
use brokkr_core::wire::{
    MAX_WAIT_SECONDS, REVISION_HEADER, STALE_HEADER, STATE_HEADER, TargetState,
};
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
use crate::rights::Asking;
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
/// While the database does not answer, polls are answered from memory for a minute, and `Brokkr-Stale` says how many seconds old it is.
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

    /// What takes no time is not waited for: a future that could would be the larger part of what a poll lies in.
    fn from_request_parts(
        parts: &mut Parts,
        broker: &Arc<Broker>,
    ) -> impl Future<Output = Result<Self>> {
        ready(Self::read(parts, broker))
    }
}

impl Poll {
    fn read(parts: &Parts, broker: &Arc<Broker>) -> Result<Self> {
        let Asking {
            agent,
            caller,
            session,
        } = Asking::read(parts)?;
        let Query(habit) = Query::read(parts)?;
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
            caller,
            session,
            broker: Arc::clone(broker),
        })
    }

    async fn answer(&self) -> Result<Response> {
        self.note();
        let deadline = self.deadline();
        loop {
            let load = self.token.map(|_| self.broker.fleet.load_number());
            if let Some(token) = self.token {
                self.broker
                    .recognise(&self.caller, self.agent, &self.seat, token)
                    .await?;
            }
            let news = match deadline {
                Some(deadline) => self.wait(deadline).await?,
                None => self.news()?,
            };
            // What was loaded anew meanwhile may be another history.
            if load.is_none_or(|load| load == self.broker.fleet.load_number()) {
                return told(&self.broker, news);
            }
        }
    }

    /// What there is to say once the agent's state is not the one that it knows, once it is asked something, or when waiting is over: also
    /// of what changed in that very moment. The end of a key wakes the agent's polls, and ends those that came with it; so does the end
    /// of a session.
    async fn wait(&self, deadline: Instant) -> Result<News> {
        let _waiting = self.broker.metrics.wait();
        let mut is_over = false;
        loop {
            let mut changed = pin!(self.seat.changed());
            // A change between reading the tag and waiting must not be missed.
            changed.as_mut().enable();
            self.may_go_on()?;
            let news = self.news()?;
            if is_over || matches!(news, News::State(..)) {
                return Ok(news);
            }
            is_over = tokio::select! {
                () = changed => false,
                () = tokio::time::sleep_until(deadline) => true,
                () = self.broker.stopping.cancelled() => true,
            };
            self.note();
        }
    }

    /// Whether the agent, its key and its session are still good.
    fn may_go_on(&self) -> Result<()> {
        let fleet = &self.broker.fleet;
        if !fleet.is_key_good(&self.caller, self.broker.ambient.now()) {
            return Err(Error::Unauthenticated);
        }
        if fleet.is_retired(self.agent) {
            return Err(gone(&self.broker, self.agent));
        }
        fleet.is_of_latest_session(&self.caller, self.session)
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

fn told(broker: &Broker, news: News) -> Result<Response> {
    let freshness = broker.fleet.freshness();
    // It may have become so while the poll waited.
    if freshness == Freshness::Lost {
        return Err(Error::database_lost());
    }
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
    let mut response = match news {
        News::Nothing(etag) => (StatusCode::NOT_MODIFIED, headers(etag)).into_response(),
        News::State(state, etag) => (headers(etag), Json(state)).into_response(),
    };
    if freshness == Freshness::Degraded {
        let stale = HeaderName::from_static(STALE_HEADER);
        let seconds = broker.fleet.age().as_secs();
        response.headers_mut().insert(stale, seconds.into());
    }
    Ok(response)
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
    use brokkr_core::ambient::System;
    use brokkr_core::pak::Pak;
    use brokkr_core::wire::{ActorRole, CreateAgent, PatchSettings};
    use futures::poll;
    use http::HeaderMap;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::changes::settings::ChangeSettings;
    use crate::extract::IfMatch;
    use crate::scope::Identity;
    use crate::{LimitSettings, ListenerSettings, Settings, audit};

    /// When the change and the end of a wait are seen together, either may be seen first.
    const POLLS: usize = 16;

    /// A poll of an agent that has its state.
    fn poll_of(broker: &Arc<Broker>, agent: &Pak) -> Poll {
        let caller = broker.fleet.authenticate(agent, broker.ambient.now());
        let caller = caller.expect("a caller");
        let Identity::Agent(agent) = caller.identity else {
            panic!("an agent's key")
        };
        let nothing = HeaderMap::new();
        let mut poll = Poll {
            broker: Arc::clone(broker),
            seat: broker.fleet.seat(agent).expect("a seat"),
            agent,
            caller,
            session: Session::read(&nothing).expect("none"),
            habit: Habit {
                wait: 0,
                interval: 0,
            },
            etag: None,
            token: None,
            in_hand: InHand::read(&nothing).expect("none"),
        };
        let (News::State(_, etag) | News::Nothing(etag)) = poll.news().expect("news");
        poll.etag = Some(etag);
        poll
    }

    /// Lets polls wait, changes what they are told, and ends their wait before they have a turn.
    async fn told_at_the_end(wait: Duration, end: impl AsyncFnOnce(CancellationToken)) {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = Settings {
            database: format!("sqlite:{}", folder.path().join("broker.db").display()),
            admin_key_file: folder.path().join("admin.key"),
            listener: ListenerSettings::default(),
            limits: LimitSettings::default(),
        };
        let broker = Broker::open(&settings, Arc::new(System)).await;
        let broker = broker.expect("a broker");
        let host = || audit::local(ActorRole::Host);
        let create = CreateAgent::named("edge".parse().expect("a name"));
        let (_, agent) = broker.change(host(), create).await.expect("an agent");
        let polls: Vec<_> = (0..POLLS).map(|_| poll_of(&broker, &agent)).collect();
        let deadline = Instant::now() + wait;
        let mut waiting: Vec<_> = polls
            .iter()
            .map(|poll| Box::pin(poll.wait(deadline)))
            .collect();
        for waiting in &mut waiting {
            assert!(poll!(waiting).is_pending());
        }
        let pause: PatchSettings =
            serde_json::from_value(serde_json::json!({"paused": true})).expect("a patch");
        let pause = ChangeSettings {
            expected: IfMatch::default(),
            patch: pause,
        };
        broker.change(host(), pause).await.expect("a pause");
        end(broker.stopping.clone()).await;
        for waiting in waiting {
            let news = waiting.await.expect("news");
            assert!(matches!(news, News::State(state, _) if state.agent.fleet_paused));
        }
        broker.close().await.expect("it ends well");
    }

    #[tokio::test]
    async fn a_change_in_the_moment_in_which_waiting_is_over_is_told() {
        let wait = Duration::from_secs(2);
        told_at_the_end(wait, async |_| tokio::time::sleep(wait).await).await;
    }

    #[tokio::test]
    async fn a_change_in_the_moment_in_which_the_broker_stops_is_told() {
        told_at_the_end(Duration::from_mins(1), async |stopping| stopping.cancel()).await;
    }

    fn size<Asked, Work>(_: fn(Asked) -> Work) -> usize {
        size_of::<Work>()
    }

    #[test]
    fn a_poll_that_waits_is_small() {
        let bytes = size(target_state);
        assert!(bytes <= 768, "{bytes} bytes, ten thousand times");
    }
}
