use std::sync::Arc;

use axum::extract::State;

use crate::Broker;
use crate::error::{Error, Result};
use crate::fleet::Freshness;

/// The process lives.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Requests are served. While the database is away, polls are, from memory and for a minute.
pub(super) async fn readyz(State(broker): State<Arc<Broker>>) -> Result<&'static str> {
    if broker.stopping.is_cancelled() {
        return Err(Error::Unavailable(
            "the broker is stopping; repeat the request".to_owned(),
        ));
    }
    match broker.fleet.freshness() {
        Freshness::Fresh => Ok("ok\n"),
        Freshness::Degraded => Ok("degraded: the database does not answer\n"),
        Freshness::Lost => Err(Error::database_lost()),
    }
}
