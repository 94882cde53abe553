use brokkr_core::pak::Role;
use brokkr_core::wire::{Me, RotateKey, RotatedKey};
use http::StatusCode;
use std::sync::Arc;

use axum::extract::State;

use crate::Broker;
use crate::changes::keys::{self, RotatedBy};
use crate::error::{Error, Result};
use crate::extract::Json;
use crate::scope::{Caller, Identity};
use crate::store::agents;

/// Says who the key belongs to.
#[utoipa::path(get, path = "/me", tag = "me", responses((status = 200, body = Me)))]
pub(super) async fn me(State(broker): State<Arc<Broker>>, caller: Caller) -> Result<Json<Me>> {
    of(&broker, &caller).await.map(Json)
}

pub(super) async fn of(broker: &Broker, caller: &Caller) -> Result<Me> {
    let (role, id, name) = match &caller.identity {
        Identity::Admin => (Role::Admin, None, None),
        Identity::Generator(id, name) => (Role::Generator, Some(id.uuid()), Some(name.clone())),
        Identity::Agent(id) => {
            let agent = agents::itself(*id, &mut broker.db.read().await?).await?;
            (Role::Agent, Some(id.uuid()), Some(agent.name))
        }
    };
    Ok(Me {
        role,
        id,
        name,
        key: caller.key,
    })
}

/// Puts a new key in the place of the one in use. The answer holds it, and is the only one that does.
///
/// The old key ends when the new one is used first, or with `overlap` so long after this. If it was rotated
/// before and nobody used the key of that rotation, this one takes that key's place.
#[utoipa::path(post, path = "/me/rotate", tag = "me", request_body = Option<RotateKey>,
    responses((status = 201, body = RotatedKey)))]
pub(super) async fn rotate(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    rotate: Option<Json<RotateKey>>,
) -> Result<(StatusCode, Json<RotatedKey>)> {
    if caller.sign_in.is_some() {
        return Err(Error::Forbidden(
            "a key is rotated by whoever has it, and a cookie is no key: send the key itself"
                .to_owned(),
        ));
    }
    let RotateKey { overlap } = rotate.map(|Json(rotate)| rotate).unwrap_or_default();
    let rotate = keys::RotateKey {
        key: caller.key,
        by: RotatedBy::Holder,
        overlap,
    };
    let rotated = broker.change(caller.actor(), rotate).await?;
    Ok((StatusCode::CREATED, Json(broker.rotated(rotated))))
}
