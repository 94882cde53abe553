use std::sync::Arc;
use std::time::Duration;

use crate::{Cache, Environment, Monitor};

/// How an agent works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The namespace in which the agent keeps its records; made if missing.
    pub namespace: String,
    /// How long the agent's lease lasts after its last renewal. A write may take two thirds of it, and a minute at most.
    pub lease: Duration,
    /// The time between polls that do not wait, and the least between polls after an error.
    pub interval: Duration,
    /// How long a poll waits at the broker for a change, at most 50 s; zero polls at `interval`.
    pub wait: Duration,
    /// How often a stack that did not change is compared with the cluster.
    pub resync: Duration,
    /// The most requests to the API server at the same time; fewer while it is busy.
    pub max_in_flight: u16,
    /// The most requests to the API server in a second.
    pub max_qps: u32,
    /// The longest time between two attempts at something that fails.
    pub retry_cap: Duration,
    /// Field managers to whom the fields of our objects are left that they set, besides everybody who sets a field by
    /// the subresource `scale`.
    pub yield_to: Vec<String>,
    /// What stacks may have in this cluster.
    pub environment: Arc<Environment>,
    /// Where it notes how it is doing.
    pub monitor: Arc<Monitor>,
    /// What is kept to go on without the broker.
    pub cache: Cache,
}

impl Settings {
    /// What is shorter would be lost for a slow answer.
    pub const SHORTEST_LEASE: Duration = Duration::from_secs(3);
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            namespace: "brokkr-system".to_owned(),
            lease: Duration::from_secs(90),
            interval: Duration::from_secs(10),
            wait: Duration::from_secs(50),
            resync: Duration::from_mins(5),
            max_in_flight: 32,
            max_qps: 3_000,
            retry_cap: Duration::from_mins(5),
            yield_to: Vec::new(),
            environment: Arc::default(),
            monitor: Arc::default(),
            cache: Cache::in_memory(),
        }
    }
}
