use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use brokkr_core::wire::{PatchSettings, Settings};

use crate::Broker;
use crate::changes::settings::ChangeSettings;
use crate::error::Result;
use crate::extract::{IfMatch, Json, entity_tag};
use crate::scope::Caller;
use crate::store::settings;

/// Shows what operators have settled for the whole broker.
#[utoipa::path(get, path = "/settings", tag = "settings", responses((status = 200, body = Settings)))]
pub(super) async fn get(State(broker): State<Arc<Broker>>) -> Result<Response> {
    let settings = settings::read(&mut broker.db.read().await?).await?;
    Ok(shown(settings))
}

/// Changes the broker's settings (JSON Merge Patch). `null` goes back to the default.
#[utoipa::path(patch, path = "/settings", tag = "settings", request_body = PatchSettings,
    params(IfMatch), responses((status = 200, body = Settings)))]
pub(super) async fn patch(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    expected: IfMatch,
    Json(patch): Json<PatchSettings>,
) -> Result<Response> {
    let change = ChangeSettings { expected, patch };
    let settings = broker.change(caller.actor(), change).await?;
    broker.settings_changed.notify_one();
    Ok(shown(settings))
}

fn shown(settings: Settings) -> Response {
    (entity_tag(settings.revision), Json(settings)).into_response()
}
