//! The one way to the cluster's API server: typed access to objects of any kind, a limit on
//! requests, and patience with a server that is busy.
//!
//! Answers are read here and not by the client library, because that logs what it cannot parse, and an
//! answer may hold a Secret.

mod about;
mod connect;
mod kinds;
mod list;
mod objects;
mod resource;
#[cfg(test)]
pub(crate) mod scripted;
mod see;
mod send;
mod tenure;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use brokkr_core::ambient::Ambient;
use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use tokio::sync::{Mutex, Notify, Semaphore};

pub(crate) use about::{Node, Quota};
pub use connect::connect;
pub(crate) use kinds::{Kinds, MissingKind, Scope};
pub(crate) use objects::Write;
pub(crate) use resource::Resource;
pub(crate) use see::{Absence, Sight};
pub(crate) use tenure::{Moment, Tenure};
pub(crate) use watch::{Seen, Sighting};

/// A cluster, as its agent sees it.
pub(crate) struct Cluster {
    client: kube::Client,
    permits: Semaphore,
    /// How many of the permits one stack may hold, so that one whose requests hang leaves some to others.
    share: usize,
    /// The managers to whom the fields are left that they set.
    yields_to: Vec<String>,
    kinds: Mutex<Option<kinds::Known>>,
    other_kinds: Notify,
    ambient: Arc<dyn Ambient>,
    /// How long a request may take, with all its tries.
    patience: Duration,
    /// For how long may be written; none where nobody asks.
    tenure: Option<Tenure>,
}

impl Cluster {
    pub(crate) fn new(
        client: kube::Client,
        max_in_flight: usize,
        ambient: Arc<dyn Ambient>,
    ) -> Self {
        let max_in_flight = max_in_flight.max(1);
        Self {
            client,
            permits: Semaphore::new(max_in_flight),
            share: max_in_flight - max_in_flight / 4,
            yields_to: Vec::new(),
            kinds: Mutex::new(None),
            other_kinds: Notify::new(),
            ambient,
            patience: send::TIMEOUT,
            tenure: None,
        }
    }

    /// Gives up sooner.
    pub(crate) fn patient_for(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Writes only in this tenure.
    pub(crate) fn during(self, tenure: &Tenure) -> Self {
        Self {
            tenure: Some(tenure.clone()),
            ..self
        }
    }

    /// Leaves what these managers set to them.
    pub(crate) fn yielding_to(self, yields_to: Vec<String>) -> Self {
        Self { yields_to, ..self }
    }

    /// Does a stack's things at the same time, as many as its share allows; the results come in any order.
    pub(crate) async fn together<'a, T>(
        &self,
        things: impl IntoIterator<Item = BoxFuture<'a, T>>,
    ) -> Vec<T> {
        stream::iter(things)
            .buffer_unordered(self.share)
            .collect()
            .await
    }
}
