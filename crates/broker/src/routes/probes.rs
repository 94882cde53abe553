use std::sync::Arc;

use axum::extract::State;

use crate::Broker;
use crate::error::{Error, Result};
use crate::fleet::Freshness;

/// The process lives.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

pub(super) async fn readyz(State(broker): State<Arc<Broker>>) -> Result<String> {
    let ready = broker.readiness().map_err(Error::Unavailable)?;
    Ok(format!("{ready}\n"))
}

impl Broker {
    /// Whether requests are served, in words. While the database is away, polls are, from memory and for a minute.
    ///
    /// # Errors
    /// Why they are not.
    pub fn readiness(&self) -> std::result::Result<&'static str, String> {
        if self.stopping.is_cancelled() {
            return Err("the broker is stopping; repeat the request".to_owned());
        }
        match self.fleet.freshness() {
            Freshness::Fresh => Ok("ok"),
            Freshness::Degraded => Ok("degraded: the database does not answer"),
            Freshness::Lost => Err(Error::database_lost().to_string()),
        }
    }
}
