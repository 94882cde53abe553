//! The lines from the agent to the cluster and to the broker: what is sent may be late, lost or unheard.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use brokkr_client::{Fault, Transport};
use brokkr_core::pak::Role;
use brokkr_core::wire::{ConfirmationReport, Me, STATE_HEADER, StatusReport, TargetState};
use brokkr_core::{AgentId, KeyId};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::api::{Answer, Ask, refused};
use super::broker::Mood;
use super::laws::WRONG;
use super::patience::Asker;
use super::world::{Fate, Shared, World};

/// The way to the API server in one life of the agent.
pub fn to_cluster(shared: &Shared, life: u64) -> kube::Client {
    let shared = shared.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let shared = shared.clone();
        async move { ask(&shared, life, request).await }
    });
    kube::Client::new(service, "default")
}

async fn ask(
    shared: &Shared,
    life: u64,
    request: Request<Body>,
) -> Result<Response<Body>, tower::BoxError> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let query = head.uri.query().unwrap_or_default();
    let ask = Ask {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: query.split('&').filter_map(pair).collect(),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    };
    let asked = shared.world().copies.asks(life);
    shared.point(life).await;
    let (fate, there, back) = chances(&mut shared.world());
    let is_write = ask.method != "GET" && !ask.query.contains_key("dryRun");
    if is_write {
        let mut world = shared.world();
        let now = world.age();
        let stillness = &mut world.witness.stillness;
        stillness.saw_request(&ask.path, now, now + there + back);
    }
    sleep(there).await;
    shared.point(life).await;
    let (answer, is_news) = {
        let mut world = shared.world();
        let accepted = world.witness.acceptances;
        let crowd = world.weather.crowd;
        if world.chance(crowd) {
            world.disturb();
        }
        let is_list = ask.method == "GET" && ask.query.contains_key("limit");
        let answer = match fate {
            Fate::Lost => return Err("the connection broke".into()),
            Fate::Refused(status) => refused(status, "busy", None),
            Fate::Blind if is_list => Answer {
                status: 200,
                body: json!({ "metadata": {}, "items": [] }),
            },
            _ => {
                world.witness_writer(life, &ask, &asked);
                world.api.now = world.age().as_secs();
                world.api.answer(&ask)
            }
        };
        world.copies.heard_of_lease(life, &ask, &answer);
        let is_dry = if ask.query.contains_key("dryRun") {
            " dry"
        } else {
            ""
        };
        world.note(format!(
            "{} {}{is_dry}: {} {fate:?}",
            ask.method, ask.path, answer.status
        ));
        world.witness_deeds();
        (answer, world.witness.acceptances > accepted)
    };
    shared.point(life).await;
    sleep(back).await;
    let world = &mut *shared.world();
    let now = world.age();
    if fate == Fate::Unheard {
        return Err("the connection broke".into());
    }
    // One who put it there and did not hear of it has it from a poll.
    if is_news && world.copies.holds(life) {
        let stacks: Vec<_> = world.broker.stacks.keys().copied().collect();
        world.witness.stillness.acts_upon(stacks.into_iter(), now);
    }
    let response = Response::builder()
        .status(answer.status)
        .body(Body::from(answer.body.to_string().into_bytes()));
    Ok(response?)
}

fn pair(text: &str) -> Option<(String, String)> {
    let (key, value) = text.split_once('=')?;
    Some((key.to_owned(), value.replace("%3D", "=")))
}

fn chances(world: &mut World) -> (Fate, Duration, Duration) {
    (world.fate(), world.delay(), world.delay())
}

/// The way to the broker in one life of the agent.
pub struct ToBroker {
    pub shared: Shared,
    pub life: u64,
}

impl fmt::Debug for ToBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the simulated broker in life {}", self.life)
    }
}

type Reply = (u16, &'static str, Option<String>, String);

impl Transport for ToBroker {
    fn carry(&self, request: reqwest::Request) -> BoxFuture<'_, Result<reqwest::Response, Fault>> {
        let patience = request.timeout().copied().unwrap_or(Duration::from_mins(1));
        let broken = || Fault::Line("the connection broke".to_owned());
        let carried = async move {
            let asker = Asker::of(self.life, session(&request), request.url().path());
            if let Some(asker) = asker {
                self.shared.world().witness_asking(asker);
            }
            self.shared.point(self.life).await;
            let (fate, there, back) = chances(&mut self.shared.world());
            sleep(there).await;
            self.shared.point(self.life).await;
            let mood = self.shared.world().broker.mood;
            let session = session(&request);
            if fate == Fate::Lost || mood == Mood::Unreachable {
                return Err(broken());
            }
            let mut retry_after = None;
            let (status, kind, etag, body) = match fate {
                Fate::Refused(status) => {
                    retry_after = self.shared.world().retry_after(status);
                    busy(status, retry_after)
                }
                _ if self.shared.world().broker.is_over(session) => problem(409),
                _ => self.reply(&request).await,
            };
            if status != 304 {
                let what = format!("broker {} {}", request.method(), request.url().path());
                self.shared
                    .world()
                    .note(format!("{what}: {status} {fate:?}"));
            }
            self.shared.point(self.life).await;
            sleep(back).await;
            if fate == Fate::Unheard {
                return Err(broken());
            }
            if let (Some(asker), Some(seconds)) = (asker, retry_after) {
                self.shared.world().witness_busy(asker, seconds);
            }
            if request.url().path().ends_with("/target-state") {
                let is_meant = status == 410 && mood == Mood::Retired;
                self.shared.world().witness_farewell(is_meant, status);
            }
            if request.url().path().ends_with("/me") && status == 200 && mood != Mood::Page {
                self.shared.world().witness.farewell.knows_itself = true;
            }
            let mut response = Response::builder()
                .status(status)
                .header("content-type", kind);
            if let Some(etag) = etag {
                response = response.header("etag", etag);
            }
            let response = response.body(body).map_err(|_| broken())?;
            Ok(reqwest::Response::from(response))
        };
        async move {
            timeout(patience, carried)
                .await
                .unwrap_or_else(|_| Err(broken()))
        }
        .boxed()
    }
}

impl ToBroker {
    async fn reply(&self, request: &reqwest::Request) -> Reply {
        let mood = self.shared.world().broker.mood;
        match mood {
            Mood::Page => return (200, "text/html", Some("\"page\"".into()), "<html>".into()),
            Mood::GonePage => return (410, "text/html", None, "<html>".into()),
            Mood::Retired => return retired(self.shared.world().broker.me),
            Mood::OtherRetired => return retired(AgentId::generate(&*self.shared.ambient)),
            Mood::Refuses(status) => return problem(status),
            _ => {}
        }
        let path = request.url().path();
        if path.ends_with("/me") {
            let me = Me {
                role: Role::Agent,
                id: Some(self.shared.world().broker.me.uuid()),
                name: None,
                key: KeyId::generate(&*self.shared.ambient),
            };
            return ok("application/json", json!(me).to_string());
        }
        let body = request
            .body()
            .and_then(reqwest::Body::as_bytes)
            .unwrap_or_default();
        if path.ends_with("/agent/session") {
            let session = self.shared.world().broker.open_session();
            self.shared.news.notify_waiters();
            return ok(
                "application/json",
                json!({ "session": session }).to_string(),
            );
        }
        if path.ends_with("/target-state") {
            return self.poll(request).await;
        }
        let mut world = self.shared.world();
        if path.ends_with("/manifests") {
            let id = path.split('/').rev().nth(1).and_then(|id| id.parse().ok());
            let version = id.and_then(|id| world.broker.content(id));
            return match version {
                Some(version) if mood == Mood::WrongContent => {
                    ok("application/yaml", version.text.replace("same", WRONG))
                }
                Some(version) => ok("application/yaml", version.text.clone()),
                None => problem(404),
            };
        }
        if path.ends_with("/agent/status") {
            if let Ok(report) = serde_json::from_slice::<StatusReport>(body) {
                world.witness_statuses(&report);
                world.broker.hear(report);
            }
        } else if path.ends_with("/agent/removals") {
            let Ok(report) = serde_json::from_slice::<ConfirmationReport>(body) else {
                return problem(422);
            };
            let (answers, closed) = world.broker.confirm(&report);
            for removal in closed {
                world.witness_confirmation(&removal);
            }
            if mood == Mood::Forgetful {
                world.restore();
            }
            return ok("application/json", json!(answers).to_string());
        }
        (204, "application/json", None, String::new())
    }

    async fn poll(&self, request: &reqwest::Request) -> Reply {
        let query: BTreeMap<_, _> = request.url().query_pairs().collect();
        let wait = query
            .get("wait")
            .and_then(|wait| wait.parse().ok())
            .unwrap_or(0);
        let until = Instant::now() + Duration::from_secs(wait);
        let known = request
            .headers()
            .get("if-none-match")
            .and_then(|tag| tag.to_str().ok());
        let told = request.headers().get(STATE_HEADER);
        let told = told.and_then(|told| told.to_str().ok());
        let restored = self.shared.world().broker.restored;
        loop {
            let news = self.shared.news.notified();
            let is_over = self.shared.world().broker.is_over(session(request));
            if is_over {
                return problem(409);
            }
            if self.shared.world().broker.restored != restored {
                return problem(503);
            }
            if let Some(told) = told {
                self.hear(told);
            }
            let (state, mood) = self.say();
            let mut body = json!(state).to_string();
            let etag = format!(
                "\"{}\"",
                brokkr_core::plan::Fingerprint::of(body.as_bytes())
            );
            if known == Some(&*etag) {
                self.shared.world().witness_having(self.life, &state);
            } else {
                if mood == Mood::Cut {
                    body.truncate(body.len() / 2);
                }
                return (200, "application/json", Some(etag), body);
            }
            if timeout_at(until, news).await.is_err() {
                return (304, "application/json", Some(etag), String::new());
            }
        }
    }

    fn hear(&self, told: &str) {
        let mut world = self.shared.world();
        if world.broker.hear_token(told, &*self.shared.ambient) {
            world.note(format!("the broker lost what {told} proves"));
        }
    }

    fn say(&self) -> (TargetState, Mood) {
        let mut world = self.shared.world();
        let mood = world.broker.mood;
        let state = match mood {
            Mood::Foreign => world.broker.foreign(&*self.shared.ambient),
            Mood::Short => world.broker.short(),
            Mood::Behind => {
                let World { broker, random, .. } = &mut *world;
                broker.earlier(random)
            }
            _ => world.broker.state(),
        };
        (state, mood)
    }
}

fn session(request: &reqwest::Request) -> Option<u64> {
    let session = request.headers().get("brokkr-session")?;
    session.to_str().ok()?.parse().ok()
}

fn retired(agent: AgentId) -> Reply {
    let body = json!({
        "type": "urn:brokkr:problem:agent_retired", "title": "Gone", "status": 410,
        "code": "agent_retired", "detail": "retired", "agent": agent,
    });
    (410, "application/problem+json", None, body.to_string())
}

fn ok(kind: &'static str, body: String) -> Reply {
    (200, kind, None, body)
}

fn problem(status: u16) -> Reply {
    busy(status, None)
}

fn busy(status: u16, retry_after: Option<u64>) -> Reply {
    let code = match status {
        401 => "unauthenticated",
        403 => "forbidden",
        404 => "not_found",
        409 => "session_superseded",
        422 => "invalid",
        429 => "too_many",
        _ => "internal",
    };
    let body = json!({
        "type": format!("urn:brokkr:problem:{code}"), "title": "no", "status": status,
        "code": code, "detail": "no", "retry_after": retry_after,
    });
    (status, "application/problem+json", None, body.to_string())
}
