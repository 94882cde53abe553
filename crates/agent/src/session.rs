//! Tells the broker which process acts for the agent, and for which cluster.

use std::time::Duration;

use brokkr_client::Client;
use brokkr_core::ambient::Ambient;
use brokkr_core::failpoint::Point;
use brokkr_core::wire::{Code, FEATURES, OpenSession};

use crate::Error;
use crate::backoff::Backoff;
use crate::cluster::Cluster;

const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_mins(1);

/// Opens a session as soon as the broker gives one; the answer asks in it. A refused agent does nothing else than ask
/// again: somebody may rebind it.
pub(crate) async fn open(broker: &Client, cluster: &Cluster, ambient: &dyn Ambient) -> Client {
    let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
    loop {
        match try_to_open(broker, cluster).await {
            Ok(client) => return client,
            Err(Error::Broker(error)) if error.code() == Some(Code::ClusterConflict) => {
                tracing::error!(%error, "nothing is done in this cluster");
            }
            Err(error) => tracing::warn!(%error, "no session with the broker yet"),
        }
        tokio::time::sleep(backoff.next(ambient)).await;
    }
}

async fn try_to_open(broker: &Client, cluster: &Cluster) -> Result<Client, Error> {
    let open = OpenSession {
        cluster: cluster.uid().await?,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        features: FEATURES.iter().map(ToString::to_string).collect(),
    };
    Point::SessionOpening.reached();
    match broker.open_session(&open).await {
        Ok(session) => {
            Point::SessionOpened.reached();
            Ok(broker.in_session(session))
        }
        // A broker of version 0.1.0 knows no sessions.
        Err(error) if error.is_not_found() => Ok(broker.clone()),
        Err(error) => Err(error.into()),
    }
}

/// Whether another process acts for the agent by now.
pub(crate) fn is_superseded(error: &Error) -> bool {
    matches!(error, Error::Broker(error) if error.code() == Some(Code::SessionSuperseded))
}
