//! Tells the broker which process acts for the agent, and for which cluster.

use brokkr_client::Client;
use brokkr_core::cluster_uid::ClusterUid;
use brokkr_core::failpoint::Point;
use brokkr_core::wire::{Code, FEATURES, OpenSession};
use tokio::sync::SetOnce;

use crate::Error;

/// The way to the broker during a term: there is none until the broker has given a session.
pub(crate) struct Session {
    broker: Client,
    cluster: ClusterUid,
    opened: SetOnce<Client>,
}

impl Session {
    pub(crate) fn new(broker: Client, cluster: ClusterUid) -> Self {
        Self {
            broker,
            cluster,
            opened: SetOnce::new(),
        }
    }

    /// What asks in the session, if there is one by now.
    pub(crate) fn broker(&self) -> Result<&Client, Error> {
        self.opened.get().ok_or(Error::NoSession)
    }

    /// What asks in the session, as soon as there is one.
    pub(crate) async fn opened(&self) -> &Client {
        self.opened.wait().await
    }

    /// Tries to open it.
    pub(crate) async fn open(&self) -> Result<(), Error> {
        let open = OpenSession {
            cluster: self.cluster.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            features: FEATURES.iter().map(ToString::to_string).collect(),
        };
        Point::SessionOpening.reached();
        let client = match self.broker.open_session(&open).await {
            Ok(session) => {
                Point::SessionOpened.reached();
                self.broker.in_session(session)
            }
            // A broker of version 0.1.0 knows no sessions.
            Err(error) if error.is_not_found() => self.broker.clone(),
            Err(error) => return Err(error.into()),
        };
        // Nobody else opens it.
        let _ = self.opened.set(client);
        Ok(())
    }
}

/// Whether the broker says that this agent is not for this cluster, or no more.
pub(crate) fn is_turned_away(error: &Error) -> bool {
    let Error::Broker(error) = error else {
        return false;
    };
    error.code() == Some(Code::ClusterConflict) || error.retired_agent().is_some()
}

/// Whether another process acts for the agent by now.
pub(crate) fn is_superseded(error: &Error) -> bool {
    matches!(error, Error::Broker(error) if error.code() == Some(Code::SessionSuperseded))
}
