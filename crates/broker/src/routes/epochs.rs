use std::sync::Arc;

use axum::extract::State;
use brokkr_core::Epoch;
use brokkr_core::wire::Epochs;

use crate::Broker;
use crate::changes::epochs::AcceptEpoch;
use crate::error::Result;
use crate::extract::{Json, Path};
use crate::scope::Caller;
use crate::store::epochs;

/// Shows which history the database is, which ones it was declared to continue, and which ones it lost.
#[utoipa::path(get, path = "/epochs", tag = "epochs", responses((status = 200, body = Epochs)))]
pub(super) async fn list(State(broker): State<Arc<Broker>>) -> Result<Json<Epochs>> {
    let mut tx = broker.db.read().await?;
    Ok(Json(epochs::all(&mut tx).await?))
}

/// Declares that this broker continues another history. The agents that hold on to it take this broker's word
/// from then on.
#[utoipa::path(post, path = "/epochs/{epoch}/accept", tag = "epochs",
    params(("epoch" = Epoch, Path, description = "The history that agents hold on to")),
    responses((status = 200, body = Epochs)))]
pub(super) async fn accept(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    Path(epoch): Path<Epoch>,
) -> Result<Json<Epochs>> {
    let epochs = broker.change(caller.actor(), AcceptEpoch { epoch }).await?;
    Ok(Json(epochs))
}
