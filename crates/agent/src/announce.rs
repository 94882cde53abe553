//! Tells those who look at the cluster itself what becomes of stacks: by Events of Kubernetes in the agent's namespace,
//! which is where it may write anyway. An Event is a courtesy: nothing waits for it, and one that cannot be written is not.

mod ledger;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use brokkr_core::ambient::Ambient;
use brokkr_core::wire::Action;
use brokkr_core::{ObjectKey, StackId};
use http::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::cluster::{Cluster, Resource};
use crate::lease::{self, micro_time};
use ledger::{Entry, Ledger};

/// What the API server takes at the most is a kilobyte.
const LONGEST_NOTE: usize = 1_000;

/// What is worth an Event.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Reason {
    AttemptFailed,
    Conflict,
    LossHeld,
    DriftRepaired,
    Recovered,
}

/// Something that happened to a stack.
pub(crate) struct Announcement {
    pub stack: StackId,
    pub action: Action,
    pub reason: Reason,
    /// In words for people that hold no secret.
    pub note: String,
}

/// The one writer of Events.
pub(crate) struct Announcer {
    cluster: Arc<Cluster>,
    namespace: String,
    ambient: Arc<dyn Ambient>,
    ledger: Mutex<Ledger>,
    news: Notify,
}

impl Announcer {
    pub(crate) fn new(cluster: Arc<Cluster>, namespace: String, ambient: Arc<dyn Ambient>) -> Self {
        Self {
            cluster,
            namespace,
            ambient,
            ledger: Mutex::new(Ledger::new(Instant::now())),
            news: Notify::new(),
        }
    }

    /// Notes it for an Event, which is written when its turn comes.
    pub(crate) fn announce(&self, mut announcement: Announcement) {
        let note = &mut announcement.note;
        note.truncate(note.floor_char_boundary(LONGEST_NOTE));
        let (now, at) = (Instant::now(), self.ambient.now());
        self.ledger().note(announcement, now, at);
        self.news.notify_one();
    }

    /// Writes what is noted until the end.
    pub(crate) async fn run(&self, ending: &CancellationToken) {
        let write = async {
            let mut is_said = false;
            loop {
                let due = self.ledger().due();
                match due {
                    None => self.news.notified().await,
                    Some(due) if due > Instant::now() => {
                        tokio::select! {
                            biased;
                            () = sleep_until(due) => {}
                            () = self.news.notified() => {}
                        }
                    }
                    Some(_) => self.write_next(&mut is_said).await,
                }
            }
        };
        tokio::select! {
            biased;
            () = ending.cancelled() => {}
            () = write => {}
        }
    }

    async fn write_next(&self, is_said: &mut bool) {
        let now = Instant::now();
        let (next, dropped) = {
            let mut ledger = self.ledger();
            (ledger.take(now, &*self.ambient), ledger.dropped())
        };
        let figures = &self.cluster.monitor.figures;
        figures.announced("dropped", dropped);
        let Some(entry) = next else { return };
        match self.write(&entry).await {
            Ok(()) => figures.announced("written", 1),
            Err(error) => {
                figures.announced("refused", 1);
                if error.is_forbidden() || error.is_not_found() {
                    self.ledger().rest(Instant::now());
                }
                if !std::mem::replace(is_said, true) {
                    tracing::info!(%error, "an Event of Kubernetes could not be written; the log and `brokkr events` say the same");
                }
            }
        }
    }

    /// Creates the Event, or tells of an earlier one how often it happened by now.
    async fn write(&self, entry: &Entry) -> Result<(), Error> {
        let resource = Resource::new("events.k8s.io", "v1", "events");
        let (method, path) = if entry.written == 0 {
            let collection = resource.collection(Some(&self.namespace));
            (Method::POST, collection)
        } else {
            let key = ObjectKey {
                group: "events.k8s.io".to_owned(),
                kind: "Event".to_owned(),
                namespace: Some(self.namespace.clone()),
                name: entry.name.clone(),
            };
            (Method::PUT, resource.object(&key))
        };
        let event = self.event(entry);
        self.cluster.write(method, &path, &event).await.map(drop)
    }

    fn event(&self, entry: &Entry) -> Value {
        let mut event = json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": { "name": entry.name, "namespace": self.namespace },
            "eventTime": micro_time(entry.first),
            "reportingController": "brokkr.io/agent",
            "reportingInstance": lease::NAME,
            "action": format!("{:?}", entry.action),
            "reason": format!("{:?}", entry.reason),
            "note": entry.note,
            "type": match entry.reason {
                Reason::DriftRepaired | Reason::Recovered => "Normal",
                Reason::AttemptFailed | Reason::Conflict | Reason::LossHeld => "Warning",
            },
            // An Event lies in the namespace of what it is about: the stacks' objects are elsewhere.
            "regarding": {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "namespace": self.namespace,
                "name": lease::NAME,
            },
        });
        if entry.count > 1 {
            event["series"] = json!({
                "count": entry.count,
                "lastObservedTime": micro_time(entry.last),
            });
        }
        event
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
