//! Which process acts for an agent, and for which cluster.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use brokkr_core::name::Reference;
use brokkr_core::wire::{Agent, OpenSession, OpenedSession};

use crate::Broker;
use crate::changes::sessions::{BeginSession, Begun, Rebind};
use crate::error::{Error, Result};
use crate::extract::{Json, Path, entity_tag};
use crate::rights::Itself;
use crate::scope::Caller;

/// The most that an agent says of its version, and of each of its features.
const LONGEST: usize = 64;
const MOST_FEATURES: usize = 100;

/// Begins a session. The first one binds the agent to its cluster; each ends the one before, whose requests are
/// refused from then on.
#[utoipa::path(post, path = "/agent/session", tag = "agent protocol", request_body = OpenSession,
    responses((status = 200, body = OpenedSession)))]
pub(super) async fn open(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    Itself(agent): Itself,
    Json(open): Json<OpenSession>,
) -> Result<Json<OpenedSession>> {
    check(&open)?;
    let cluster = open.cluster.clone();
    match broker
        .change(caller.actor(), BeginSession { agent, open })
        .await?
    {
        Begun::Session(session) => Ok(Json(OpenedSession { session })),
        Begun::Refused { agent: name, bound } => Err(Error::ClusterConflict(format!(
            "agent {name} is bound to cluster {bound}, and this is cluster {cluster}: it does nothing here; make another agent for this cluster with `brokkr agent create`, or, if this one takes the place of the other, say so with `brokkr agent rebind {name}`"
        ))),
    }
}

fn check(open: &OpenSession) -> Result<()> {
    let is_plain = |text: &str| text.len() <= LONGEST && !text.chars().any(char::is_control);
    if !is_plain(&open.version) {
        return Err(Error::invalid(
            "/version",
            format!("a version has at most {LONGEST} characters, none of them a control character"),
        ));
    }
    if open.features.len() > MOST_FEATURES || !open.features.iter().all(|name| is_plain(name)) {
        return Err(Error::invalid(
            "/features",
            format!("there are at most {MOST_FEATURES} features, of at most {LONGEST} characters"),
        ));
    }
    Ok(())
}

/// Lets the next session bind an agent to the cluster that it comes from, and ends the present one. For a cluster
/// that was rebuilt.
#[utoipa::path(post, path = "/agents/{agent}/rebind", tag = "agents",
    params(("agent" = String, Path, description = "Id or name")), responses((status = 200, body = Agent)))]
pub(super) async fn rebind(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    Path(agent): Path<Reference>,
) -> Result<Response> {
    let row = broker.change(caller.actor(), Rebind { agent }).await?;
    Ok((entity_tag(row.revision), Json(broker.agent(row))).into_response())
}
