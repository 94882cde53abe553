//! Figures of a broker for those who watch over it. A request costs one addition; all else is looked up when somebody
//! asks. No value of a label is anybody's to choose: operations are those of the table of rights.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeMetric,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::Broker;
use crate::fleet::Freshness;
use crate::memory::{Room, Rooms};
use crate::rights;
use crate::writer::Lane;

/// 304 is a poll that found nothing new; 429 somebody who asks too much.
const CLASSES: [&str; 6] = ["2xx", "304", "429", "4xx", "503", "5xx"];

/// What a broker counts.
pub(crate) struct Metrics {
    /// The answers to each operation, in the order of the table of rights, by class.
    answers: Vec<[AtomicU64; CLASSES.len()]>,
    waiting: AtomicU64,
    pub(crate) events: AtomicU64,
    pub(crate) statuses: AtomicU64,
}

/// A poll that waits.
pub(crate) struct Waiting<'a>(&'a AtomicU64);

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            answers: rights::operations().map(|_| Default::default()).collect(),
            waiting: AtomicU64::new(0),
            events: AtomicU64::new(0),
            statuses: AtomicU64::new(0),
        }
    }

    /// Counts an answer to an operation, which is a row of the table of rights.
    pub(crate) fn answered(&self, row: usize, status: StatusCode) {
        let class = match status.as_u16() {
            304 => 1,
            429 => 2,
            503 => 4,
            code if code < 400 => 0,
            code if code < 500 => 3,
            _ => 5,
        };
        if let Some(answers) = self.answers.get(row) {
            answers[class].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A poll waits for as long as this is kept.
    pub(crate) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(&self.waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Adds to what was counted.
pub(crate) fn count(counter: &AtomicU64, more: usize) {
    counter.fetch_add(u64::try_from(more).unwrap_or_default(), Ordering::Relaxed);
}

impl Broker {
    /// Lets the figures be read.
    pub fn register(self: &Arc<Self>, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("brokkr_broker");
        registry.register_collector(Box::new(Figures(Arc::clone(self))));
    }
}

/// A broker as it is when somebody asks.
struct Figures(Arc<Broker>);

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Figures")
    }
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let Self(broker) = self;
        let metrics = &broker.metrics;
        let counted = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        requests(&mut encoder, metrics)?;
        let mut page = Page(encoder);
        page.counter(
            "events",
            "Events that agents reported, repeated ones too",
            counted(&metrics.events),
        )?;
        page.counter(
            "statuses",
            "Statuses of stacks that agents reported",
            counted(&metrics.statuses),
        )?;
        page.counter(
            "database_reads",
            "How often requests read the database; polls of unchanged agents never do",
            broker.database_reads(),
        )?;
        page.gauge(
            "polls_waiting",
            "Polls that wait for a change",
            counted(&metrics.waiting),
        )?;
        page.gauge(
            "revision",
            "How far this replica is; replicas that differ for long do not follow",
            broker.fleet.revision(),
        )?;
        page.gauge(
            "database_up",
            "Whether the database answered within the last 5 s",
            u64::from(broker.fleet.freshness() == Freshness::Fresh),
        )?;
        page.gauge(
            "follower_age_seconds",
            "How long ago this replica last saw that it is up to date; it looks once a second",
            broker.fleet.age().as_secs_f64(),
        )?;
        let Page(mut encoder) = page;
        rooms(&mut encoder, broker)
    }
}

fn requests(encoder: &mut DescriptorEncoder, metrics: &Metrics) -> fmt::Result {
    let help = "Requests to the API by operation and class of the answer";
    let mut family = encoder.encode_descriptor("requests", help, None, MetricType::Counter)?;
    for (operation, answers) in rights::operations().zip(&metrics.answers) {
        for (class, count) in CLASSES.iter().zip(answers) {
            let labels = [("operation", operation.as_str()), ("status", *class)];
            let count = ConstCounter::new(count.load(Ordering::Relaxed));
            count.encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

type Bytes = fn(&Room) -> usize;

/// The parts of the memory that requests take from. One that is full is why requests are refused with 503.
fn rooms(encoder: &mut DescriptorEncoder, broker: &Broker) -> fmt::Result {
    let Rooms {
        report_bodies,
        change_bodies,
        reading,
        agent_answers,
        answers,
    } = &broker.rooms;
    let rooms = [
        ("change_bodies", &change_bodies.room),
        ("report_bodies", &report_bodies.room),
        ("reading", &reading.room),
        ("agent_answers", &agent_answers.room),
        ("answers", &answers.room),
        ("waiting_changes", broker.writer.room(Lane::Desired)),
        ("waiting_reports", broker.writer.room(Lane::Ingest)),
    ];
    let taken = "Bytes taken of each part of the memory: bodies of changes and of reports, manifests being read, answers under way to agents and to others, and what waits to be written of desired state and of reports";
    let size = "Bytes that each part of the memory has; what does not fit is refused with 503";
    let families: [(_, _, Bytes); 2] = [
        ("memory_taken_bytes", taken, Room::taken),
        ("memory_room_bytes", size, Room::size),
    ];
    for (name, help, bytes) in families {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (part, room) in rooms {
            let value = ConstGauge::new(bytes(room) as u64);
            value.encode(family.encode_family(&[("part", part)])?)?;
        }
    }
    Ok(())
}

/// What has no labels.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn counter(&mut self, name: &str, help: &str, value: impl EncodeCounterValue) -> fmt::Result {
        let counter = MetricType::Counter;
        let metric = self.0.encode_descriptor(name, help, None, counter)?;
        ConstCounter::new(value).encode(metric)
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> fmt::Result {
        let gauge = MetricType::Gauge;
        let metric = self.0.encode_descriptor(name, help, None, gauge)?;
        ConstGauge::new(value).encode(metric)
    }
}
