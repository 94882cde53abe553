//! What agents are asked beside their work: people and pipelines ask, the agent answers.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use brokkr_core::RequestId;
use brokkr_core::name::Reference;
use brokkr_core::wire::{AgentRequest, Ask, MAX_WAIT_SECONDS, RequestAnswer, RequestTask};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::IntoParams;

use super::deployment_objects::default_namespace;
use crate::Broker;
use crate::changes::requests::{AnswerRequest, AskAgent};
use crate::error::{Error, Result};
use crate::extract::{Json, Path, Query};
use crate::memory::{Accounted, held};
use crate::rights::Itself;
use crate::scope::{Caller, Scope};
use crate::snapshot;
use crate::store::agents;
use crate::store::requests::{self, Packed};

/// Asks an agent something: it hears of it with its next poll, or at once if it waits, and `GET /requests/{request}` has
/// its answer. An agent that would not answer is not asked.
#[utoipa::path(post, path = "/agents/{agent}/requests", tag = "requests", request_body = Ask,
    params(("agent" = String, Path, description = "Id or name")),
    responses((status = 201, body = AgentRequest)))]
pub(super) async fn ask(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    scope: Scope,
    Path(agent): Path<Reference>,
    Json(ask): Json<Ask>,
) -> Result<(StatusCode, Json<AgentRequest>)> {
    check_silence(&broker, &agent, &scope).await?;
    let content = match &ask {
        Ask::Plan {
            stack, manifests, ..
        } => {
            let namespace = default_namespace(&broker, stack, &scope).await?;
            let manifests = manifests.as_str().into();
            Some(snapshot::prepare(manifests, namespace, &broker.rooms.reading).await?)
        }
        Ask::Sync { .. } | Ask::Describe { .. } | Ask::Logs { .. } => None,
    };
    let ask = AskAgent {
        scope,
        agent,
        ask: without_manifests(ask),
        content,
    };
    let asked = broker.change(caller.actor(), ask).await?;
    Ok((StatusCode::CREATED, Json(asked)))
}

/// They are not needed any more, and may be large.
fn without_manifests(mut ask: Ask) -> Ask {
    if let Ask::Plan { manifests, .. } = &mut ask {
        *manifests = String::new();
    }
    ask
}

/// Who asks an agent that is not there would wait for nothing.
async fn check_silence(broker: &Broker, agent: &Reference, scope: &Scope) -> Result<()> {
    let row = agents::find(agent, scope, &mut broker.db.read().await?).await?;
    let heartbeat = broker.heartbeat(row.id, row.heartbeat);
    if !broker.is_silent(heartbeat) {
        return Ok(());
    }
    let since = match heartbeat {
        Some(heartbeat) => format!("has been silent since {}", heartbeat.at),
        None => "has never polled".to_owned(),
    };
    Err(Error::CannotAsk(format!(
        "agent {} {since}, and would not answer: is it running?",
        row.name
    )))
}

/// How the answer to a request is waited for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Waiting {
    /// Answer as soon as the agent has, or after so many seconds (at most 50).
    #[serde(default)]
    wait: u64,
}

/// Shows a request, with the agent's answer as soon as there is one. It is gone 15 minutes after it was asked.
#[utoipa::path(get, path = "/requests/{request}", tag = "requests",
    params(("request" = RequestId, Path), Waiting), responses((status = 200, body = AgentRequest)))]
pub(super) async fn get(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    scope: Scope,
    Path(request): Path<RequestId>,
    Query(Waiting { wait }): Query<Waiting>,
) -> Result<Json<AgentRequest>> {
    let find = async || {
        let now = broker.ambient.now();
        requests::find(request, &scope, now, &mut broker.db.read().await?).await
    };
    let found = find().await?;
    if wait == 0 || found.answered_at.is_some() {
        return Ok(Json(found));
    }
    wait_for_answer(
        &broker,
        &found,
        Duration::from_secs(wait.min(MAX_WAIT_SECONDS)),
    )
    .await;
    if !broker.fleet.is_key_good(&caller, broker.ambient.now()) {
        return Err(Error::Unauthenticated);
    }
    find().await.map(Json)
}

/// Returns when the request is answered or gone, or when waiting is over.
async fn wait_for_answer(broker: &Broker, request: &AgentRequest, wait: Duration) {
    let Some(seat) = broker.fleet.seat(request.agent) else {
        return;
    };
    let deadline = Instant::now() + wait;
    loop {
        let mut changed = pin!(seat.changed());
        // A change between looking and waiting must not be missed.
        changed.as_mut().enable();
        let now = broker.ambient.now();
        if !broker.fleet.is_open(request.agent, request.id, now) {
            return;
        }
        tokio::select! {
            () = changed => {}
            () = tokio::time::sleep_until(deadline) => return,
            () = broker.stopping.cancelled() => return,
        }
    }
}

/// What the agent is asked; not found when it has answered, or too late.
#[utoipa::path(get, path = "/agent/requests/{request}", tag = "agent protocol",
    params(("request" = RequestId, Path)), responses((status = 200, body = RequestTask)))]
pub(super) async fn task(
    State(broker): State<Arc<Broker>>,
    Itself(agent): Itself,
    Path(request): Path<RequestId>,
) -> Result<Response> {
    let now = broker.ambient.now();
    let (mut task, content) =
        requests::task(request, agent, now, &mut broker.db.read().await?).await?;
    if let (RequestTask::Plan { entry, manifests }, Some(content)) = (&mut task, content) {
        // The text, and the same as JSON.
        let bytes = 2 * snapshot::size(&content);
        let room = broker.rooms.agent_answers.take(agent.uuid(), bytes)?;
        let namespace = entry.default_namespace.clone();
        let restored = snapshot::restored(content.into(), entry.digest, namespace, room);
        let room;
        (*manifests, room) = restored.await?;
        let json = serde_json::to_vec(&task).map_err(Error::internal)?;
        let about = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        return Ok((about, Extension(Accounted), held(json, room)).into_response());
    }
    Ok(Json(task).into_response())
}

/// Answers a request. The first answer counts; repeating it changes nothing.
#[utoipa::path(post, path = "/agent/requests/{request}", tag = "agent protocol", request_body = RequestAnswer,
    params(("request" = RequestId, Path)), responses((status = 204)))]
pub(super) async fn answer(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    Itself(agent): Itself,
    Path(request): Path<RequestId>,
    Json(answer): Json<RequestAnswer>,
) -> Result<StatusCode> {
    let answer = AnswerRequest {
        agent,
        request,
        has_failed: matches!(answer, RequestAnswer::Failed { .. }),
        answer: Packed::new(&answer)?,
    };
    broker.change(caller.actor(), answer).await?;
    Ok(StatusCode::NO_CONTENT)
}
