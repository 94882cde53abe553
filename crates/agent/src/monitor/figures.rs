//! Every figure of an agent. All values of all labels are known here, and all of them are there from the start: nothing
//! that a person or a cluster names is a label.

use std::collections::HashMap;
use std::fmt;

use brokkr_core::wire::{Action, Health, ObjectResult, Sync};
use http::{Method, StatusCode};
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use crate::reconcile::{Attempt, Ending};

type Labels<const N: usize> = [(&'static str, &'static str); N];
/// How many stacks are doing how.
pub(crate) type Stacks = HashMap<(Sync, Health), u64>;

const VERBS: [&str; 6] = ["get", "create", "update", "patch", "delete", "watch"];
/// 429 stands apart: by it the API server says that it is asked too much.
const STATUSES: [&str; 6] = ["2xx", "3xx", "429", "4xx", "5xx", "none"];
const ENDINGS: [&str; 4] = ["done", "waiting", "failed", "held"];
const ANNOUNCED: [&str; 3] = ["written", "refused", "dropped"];
const ACTIONS: [Action; 2] = [Action::Apply, Action::Remove];
const RESULTS: [ObjectResult; 8] = [
    ObjectResult::Created,
    ObjectResult::Changed,
    ObjectResult::Pruned,
    ObjectResult::Kept,
    ObjectResult::Conflict,
    ObjectResult::Invalid,
    ObjectResult::Failed,
    ObjectResult::Skipped,
];
const SYNCS: [Sync; 6] = [
    Sync::Pending,
    Sync::Applying,
    Sync::Synced,
    Sync::Failed,
    Sync::Held,
    Sync::Removing,
];
const HEALTHS: [Health; 4] = [
    Health::Current,
    Health::Progressing,
    Health::Unknown,
    Health::Degraded,
];
/// In seconds.
const BUCKETS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0,
];

/// What an agent counts.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    attempts: Family<Labels<2>, Counter>,
    objects: Family<Labels<1>, Counter>,
    repairs: Counter,
    requests: Family<Labels<2>, Counter>,
    latency: Family<Labels<1>, Histogram, fn() -> Histogram>,
    watches: Gauge,
    pub watch_restarts: Counter,
    pub events_dropped: Counter,
    pub events_unsent: Gauge,
    announced: Family<Labels<1>, Counter>,
}

impl Default for Figures {
    fn default() -> Self {
        let figures = Self {
            attempts: Family::default(),
            objects: Family::default(),
            repairs: Counter::default(),
            requests: Family::default(),
            latency: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            watches: Gauge::default(),
            watch_restarts: Counter::default(),
            events_dropped: Counter::default(),
            events_unsent: Gauge::default(),
            announced: Family::default(),
        };
        for result in ANNOUNCED {
            drop(figures.announced.get_or_create(&[("result", result)]));
        }
        for action in ACTIONS {
            for ending in ENDINGS {
                drop(figures.attempts.get_or_create(&attempt(action, ending)));
            }
        }
        for result in RESULTS {
            drop(figures.objects.get_or_create(&[("result", told(result))]));
        }
        for verb in VERBS {
            for status in STATUSES {
                drop(figures.requests.get_or_create(&request(verb, status)));
            }
            if verb != "watch" {
                drop(figures.latency.get_or_create(&[("verb", verb)]));
            }
        }
        figures
    }
}

impl Figures {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "attempts",
            "Attempts at stacks by how they ended; one that finds all as it should be is done",
            self.attempts.clone(),
        );
        registry.register(
            "objects",
            "Objects that attempts did something to, or could not",
            self.objects.clone(),
        );
        registry.register(
            "repairs",
            "Objects that were changed back after others had changed or deleted them",
            self.repairs.clone(),
        );
        registry.register(
            "api_requests",
            "Requests to the API server, each try counted, by the class of the answer",
            self.requests.clone(),
        );
        registry.register(
            "api_request_seconds",
            "How long the API server took to answer; watches are not measured",
            self.latency.clone(),
        );
        registry.register(
            "watches",
            "Watches that are open at the API server",
            self.watches.clone(),
        );
        registry.register(
            "watch_restarts",
            "Watches that broke, or were too far behind, and began anew with a list",
            self.watch_restarts.clone(),
        );
        registry.register(
            "events_dropped",
            "Events that were dropped unsent, because too many waited for the broker",
            self.events_dropped.clone(),
        );
        registry.register(
            "events_unsent",
            "Events that wait until the broker takes them",
            self.events_unsent.clone(),
        );
        registry.register(
            "kubernetes_events",
            "Events of Kubernetes that were written, refused by the API server, or dropped because there were too many",
            self.announced.clone(),
        );
    }

    /// Counts an attempt, and what it did to objects.
    pub(crate) fn attempt(&self, action: Action, ended: &Attempt) {
        let ending = match ended.ending {
            Ending::Done => "done",
            Ending::Waiting(_) => "waiting",
            Ending::Failed(_) => "failed",
            Ending::Held(_) => "held",
        };
        self.attempts.get_or_create(&attempt(action, ending)).inc();
        for object in &ended.objects {
            if object.result != ObjectResult::Unchanged {
                let labels = [("result", told(object.result))];
                self.objects.get_or_create(&labels).inc();
            }
        }
        for _ in ended.repaired() {
            self.repairs.inc();
        }
    }

    /// Counts Events of Kubernetes.
    pub(crate) fn announced(&self, result: &'static str, events: u64) {
        let counter = self.announced.get_or_create(&[("result", result)]);
        counter.inc_by(events);
    }

    /// A request is sent.
    pub(crate) fn asking(&self, method: &Method) -> Asking {
        let verb = match *method {
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE => "delete",
            _ => "get",
        };
        self.ask(verb)
    }

    /// A watch is asked for.
    pub(crate) fn asking_to_watch(&self) -> Asking {
        self.ask("watch")
    }

    fn ask(&self, verb: &'static str) -> Asking {
        Asking {
            figures: self.clone(),
            verb,
            begun: Instant::now(),
            status: None,
        }
    }

    /// A watch is open for as long as this is kept.
    pub(crate) fn watching(&self) -> Watching {
        self.watches.inc();
        Watching(self.watches.clone())
    }
}

/// A request under way; one that is given up is counted too.
pub(crate) struct Asking {
    figures: Figures,
    verb: &'static str,
    begun: Instant,
    status: Option<StatusCode>,
}

impl Asking {
    pub(crate) fn answered(mut self, status: StatusCode) {
        self.status = Some(status);
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let status = match self.status.map(|status| status.as_u16()) {
            None => "none",
            Some(429) => "429",
            Some(..300) => "2xx",
            Some(..400) => "3xx",
            Some(..500) => "4xx",
            Some(_) => "5xx",
        };
        let requests = &self.figures.requests;
        requests.get_or_create(&request(self.verb, status)).inc();
        if self.verb != "watch" {
            let latency = self.figures.latency.get_or_create(&[("verb", self.verb)]);
            latency.observe(self.begun.elapsed().as_secs_f64());
        }
    }
}

/// An open watch.
pub(crate) struct Watching(Gauge);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Writes a figure of this moment.
pub(super) fn gauge(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    value: impl EncodeGaugeValue,
) -> fmt::Result {
    let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    ConstGauge::new(value).encode(metric)
}

/// Writes how many stacks are doing how at this moment.
pub(super) fn stacks(encoder: &mut DescriptorEncoder, stacks: &Stacks) -> fmt::Result {
    let help = "Stacks of this agent by how far it is with them, and how they are doing";
    let mut family = encoder.encode_descriptor("stacks", help, None, MetricType::Gauge)?;
    for sync in SYNCS {
        for health in HEALTHS {
            let labels = [("sync", said(sync)), ("health", doing(health))];
            let count = stacks.get(&(sync, health)).copied().unwrap_or_default();
            ConstGauge::new(count).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

const fn attempt(action: Action, outcome: &'static str) -> Labels<2> {
    let action = match action {
        Action::Apply => "apply",
        Action::Remove => "remove",
    };
    [("action", action), ("outcome", outcome)]
}

const fn request(verb: &'static str, status: &'static str) -> Labels<2> {
    [("verb", verb), ("status", status)]
}

const fn told(result: ObjectResult) -> &'static str {
    match result {
        ObjectResult::Created => "created",
        ObjectResult::Changed => "changed",
        ObjectResult::Unchanged => "unchanged",
        ObjectResult::Pruned => "pruned",
        ObjectResult::Kept => "kept",
        ObjectResult::Conflict => "conflict",
        ObjectResult::Invalid => "invalid",
        ObjectResult::Failed => "failed",
        ObjectResult::Skipped => "skipped",
    }
}

const fn said(sync: Sync) -> &'static str {
    match sync {
        Sync::Pending => "pending",
        Sync::Applying => "applying",
        Sync::Synced => "synced",
        Sync::Failed => "failed",
        Sync::Held => "held",
        Sync::Removing => "removing",
        Sync::Unknown => "unknown",
    }
}

const fn doing(health: Health) -> &'static str {
    match health {
        Health::Current => "current",
        Health::Progressing => "progressing",
        Health::Unknown => "unknown",
        Health::Degraded => "degraded",
    }
}
