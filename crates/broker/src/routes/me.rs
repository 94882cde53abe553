use brokkr_core::pak::Role;
use brokkr_core::wire::Me;
use std::sync::Arc;

use axum::extract::State;

use crate::Broker;
use crate::error::Result;
use crate::extract::Json;
use crate::scope::{Caller, Identity};
use crate::store::agents;

/// Says who the key belongs to.
#[utoipa::path(get, path = "/me", tag = "me", responses((status = 200, body = Me)))]
pub(super) async fn me(State(broker): State<Arc<Broker>>, caller: Caller) -> Result<Json<Me>> {
    let (role, id, name) = match caller.identity {
        Identity::Admin => (Role::Admin, None, None),
        Identity::Generator(id, name) => (Role::Generator, Some(id.uuid()), Some(name)),
        Identity::Agent(id) => {
            let agent = agents::itself(id, &mut broker.db.read().await?).await?;
            (Role::Agent, Some(id.uuid()), Some(agent.name))
        }
    };
    Ok(Json(Me {
        role,
        id,
        name,
        key: caller.key,
    }))
}
