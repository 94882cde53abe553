//! The one way to the cluster's API server: typed access to objects of any kind, bounds on
//! requests, and patience with a server that is busy.
//!
//! Answers are read here and not by the client library, because that logs what it cannot parse, and an
//! answer may hold a Secret.

mod about;
mod account;
mod connect;
mod kinds;
mod list;
mod logs;
mod objects;
mod resource;
#[cfg(test)]
pub(crate) mod scripted;
mod see;
mod send;
mod tenure;
mod turns;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use brokkr_core::ambient::Ambient;
use brokkr_core::{ServiceAccount, StackId};
use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use tokio::sync::{Mutex, Notify};

pub(crate) use about::{Node, Quota};
pub use connect::connect;
pub(crate) use kinds::{Kinds, MissingKind, Scope};
pub(crate) use list::Part;
pub(crate) use logs::LogPart;
pub(crate) use objects::Write;
pub(crate) use resource::Resource;
pub(crate) use see::{Absence, Sight};
pub(crate) use tenure::{Moment, Tenure};
pub(crate) use watch::{Seen, Sighting};

use crate::Monitor;
use crate::brake::Brake;
use turns::{Asker, Turns};

/// A cluster, as its agent sees it, or one of its stacks.
#[derive(Clone)]
pub(crate) struct Cluster {
    client: kube::Client,
    turns: Arc<Turns>,
    asker: Asker,
    /// By whose rights it asks; by the agent's own if it is none.
    account: Option<ServiceAccount>,
    /// Whether the server failed at something that was asked.
    trouble: Arc<AtomicBool>,
    /// The managers to whom the fields are left that they set.
    yields_to: Arc<[String]>,
    kinds: Arc<Mutex<Option<kinds::Known>>>,
    other_kinds: Arc<Notify>,
    ambient: Arc<dyn Ambient>,
    /// How long a request may take, with all its tries.
    patience: Duration,
    /// For how long may be written; none where nobody asks.
    tenure: Option<Tenure>,
    pub(crate) monitor: Arc<Monitor>,
    /// Whether nothing is ever written.
    is_read_only: bool,
    /// Keeps an attempt from writing any more.
    brake: Brake,
}

impl Cluster {
    pub(crate) fn new(
        client: kube::Client,
        max_in_flight: usize,
        ambient: Arc<dyn Ambient>,
    ) -> Self {
        Self {
            client,
            turns: Arc::new(Turns::new(max_in_flight)),
            asker: Asker::Agent,
            account: None,
            trouble: Arc::default(),
            yields_to: Arc::default(),
            kinds: Arc::default(),
            other_kinds: Arc::default(),
            ambient,
            patience: send::TIMEOUT,
            tenure: None,
            monitor: Arc::default(),
            is_read_only: false,
            brake: Brake::default(),
        }
    }

    /// Counts there what it asks.
    pub(crate) fn counting_in(self, monitor: &Arc<Monitor>) -> Self {
        Self {
            monitor: monitor.clone(),
            ..self
        }
    }

    /// Sends no more requests a second.
    pub(crate) fn at_most(self, per_second: u32) -> Self {
        self.turns.set_rate(per_second);
        self
    }

    /// The cluster as an attempt at a stack sees it, whose requests take turns with those of others.
    pub(crate) fn of(&self, stack: StackId) -> Self {
        Self {
            asker: Asker::Stack(stack),
            trouble: Arc::default(),
            ..self.clone()
        }
    }

    /// The cluster as the agent sees it.
    fn of_agent(&self) -> Self {
        Self {
            asker: Asker::Agent,
            ..self.as_itself()
        }
    }

    /// Whether the server failed at something that this attempt asked.
    pub(crate) fn is_in_trouble(&self) -> bool {
        self.trouble.load(Ordering::Relaxed)
    }

    /// Forgets how a stack was served that is no more.
    pub(crate) fn forget(&self, stack: StackId) {
        self.turns.forget(Asker::Stack(stack));
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

    /// Only reads and rehearses, whatever it is asked for: it needs no tenure.
    pub(crate) fn read_only(self) -> Self {
        Self {
            is_read_only: true,
            ..self
        }
    }

    /// Writes as long as this brake is not pulled.
    pub(crate) fn under(self, brake: Brake) -> Self {
        Self { brake, ..self }
    }

    /// The same for the rest of what was begun, which no brake stops half-way.
    pub(crate) fn to_the_end(&self) -> Self {
        self.clone().under(Brake::default())
    }

    /// Whether the attempt was stopped, or is from now on.
    pub(crate) fn is_stopped(&self) -> bool {
        self.brake.is_pulled()
    }

    /// Leaves what these managers set to them.
    pub(crate) fn yielding_to(self, yields_to: Vec<String>) -> Self {
        let yields_to = yields_to.into();
        Self { yields_to, ..self }
    }

    /// Does a stack's things at the same time, as many as its share allows; the results come in any order.
    pub(crate) async fn together<'a, T>(
        &self,
        things: impl IntoIterator<Item = BoxFuture<'a, T>>,
    ) -> Vec<T> {
        stream::iter(things)
            .buffer_unordered(self.turns.share)
            .collect()
            .await
    }
}
