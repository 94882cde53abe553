//! Finds out what the cluster is, and tells the broker, whose rules may choose by it.
//!
//! A fact admits and never removes, so one that comes late holds up nothing but what waits for it.

use std::collections::BTreeSet;
use std::time::Duration;

use brokkr_core::ambient::Ambient;
use brokkr_core::targeting::{Facts, MAX_FACT, MAX_KIND, MAX_KINDS};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::cluster::{Cluster, Kinds, Node};
use crate::report::Reporter;
use crate::session::Session;
use crate::stacks::Workshop;
use brokkr_core::Backoff;

const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_mins(5);
/// Definitions come in crowds; so long after the first one most are there.
const CROWD: Duration = Duration::from_secs(1);
/// How old the knowledge of kinds may be: what has just been read need not be read again.
const KINDS_AGE: Duration = Duration::from_secs(5);
/// How old what only people change may be who care for the cluster itself: its version and its nodes.
const GROUND_AGE: Duration = Duration::from_mins(30);
const REGION: &str = "topology.kubernetes.io/region";

pub(crate) struct FactFinder<'a> {
    cluster: &'a Cluster,
    session: &'a Session,
    reporter: &'a Reporter,
    ambient: &'a dyn Ambient,
    /// How often to look again.
    resync: Duration,
}

/// What is known.
#[derive(Default)]
struct Known {
    /// What the broker was told.
    said: Option<Facts>,
    ground: Option<Ground>,
}

/// On what the stacks stand.
struct Ground {
    version: String,
    provider: Option<String>,
    region: Option<String>,
    since: Instant,
}

impl<'a> FactFinder<'a> {
    pub(crate) fn new(workshop: &'a Workshop) -> Self {
        Self {
            cluster: &workshop.reconciler.cluster,
            session: &workshop.session,
            reporter: &workshop.reporter,
            ambient: &*workshop.ambient,
            resync: workshop.settings.resync,
        }
    }

    /// Looks when the broker is there, with every resync and when there are other kinds, and says what is
    /// new, until `shutdown`.
    pub(crate) async fn run(&self, shutdown: &CancellationToken) {
        tokio::select! {
            biased;
            () = self.look_for_ever() => {}
            () = shutdown.cancelled() => {}
        }
    }

    async fn look_for_ever(&self) {
        let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
        let mut known = Known::default();
        let mut pause = self.resync;
        loop {
            tokio::select! {
                biased;
                // It may be another broker, or one whose database went back.
                () = self.reporter.afresh() => known = Known::default(),
                () = self.cluster.other_kinds() => tokio::time::sleep(CROWD).await,
                () = tokio::time::sleep(pause) => {}
            }
            pause = match self.look(&mut known).await {
                Ok(()) => {
                    backoff.reset();
                    self.resync
                }
                Err(error) => {
                    tracing::warn!(%error, "what the cluster is cannot be told yet");
                    backoff.next_after(error.retry_after(), self.ambient)
                }
            };
        }
    }

    async fn look(&self, known: &mut Known) -> Result<(), Error> {
        if self.reporter.is_hushed() {
            return Ok(());
        }
        let kinds = self.cluster.kinds(KINDS_AGE).await?;
        let ground = match known.ground.take() {
            Some(ground) if ground.since.elapsed() < GROUND_AGE => ground,
            _ => self.ground().await?,
        };
        let facts = facts(&ground, &kinds);
        known.ground = Some(ground);
        if known.said.as_ref() == Some(&facts) {
            return Ok(());
        }
        match self.session.broker()?.report_facts(&facts).await {
            Ok(()) => known.said = Some(facts),
            // A broker older than this agent: it may be newer at the next look.
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn ground(&self) -> Result<Ground, Error> {
        let version = self.cluster.version().await?;
        Ok(Ground::seen(version, &self.cluster.nodes().await?))
    }
}

impl Ground {
    fn seen(version: String, nodes: &[Node]) -> Self {
        Self {
            version,
            provider: agreed(nodes.iter().map(provider)),
            region: agreed(nodes.iter().map(|node| node.label(REGION))),
            since: Instant::now(),
        }
    }
}

/// What the broker takes of what was seen.
fn facts(ground: &Ground, kinds: &Kinds) -> Facts {
    let kinds = kinds.names().filter(|kind| is_plain(kind, MAX_KIND));
    // In order, so that of too many the same ones are told each time.
    let kinds: BTreeSet<String> = kinds.collect();
    Facts {
        kubernetes_version: plain(ground.version.clone()),
        provider: ground.provider.clone(),
        region: ground.region.clone(),
        kinds: kinds.into_iter().take(MAX_KINDS).collect(),
    }
}

/// `aws` of `aws:///eu-west-1a/i-0a1b2c`.
fn provider(node: &Node) -> Option<&str> {
    node.provider_id()
        .split_once("://")
        .map(|(provider, _)| provider)
}

/// What all say; nothing if one says nothing, or something else.
fn agreed<'a>(said: impl IntoIterator<Item = Option<&'a str>>) -> Option<String> {
    let mut said = said.into_iter();
    let first = said.next()??;
    said.all(|other| other == Some(first))
        .then(|| plain(first.to_owned()))
        .flatten()
}

fn plain(text: String) -> Option<String> {
    is_plain(&text, MAX_FACT).then_some(text)
}

fn is_plain(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len()) && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn found(nodes: Value) -> (Option<String>, Option<String>) {
        let nodes: Vec<Node> = serde_json::from_value(nodes).expect("nodes");
        let ground = Ground::seen("v1.33.2".to_owned(), &nodes);
        let facts = facts(&ground, &Kinds::default());
        assert_eq!(facts.kubernetes_version.as_deref(), Some("v1.33.2"));
        (facts.provider, facts.region)
    }

    #[test]
    fn provider_and_region_are_what_all_nodes_say() {
        let node = |provider: &str, region: &str| {
            json!({
                "metadata": { "name": "n", "labels": { REGION: region, "other": "label" } },
                "spec": { "providerID": provider, "podCIDR": "10.0.0.0/24" },
                "status": {},
            })
        };
        let bare = json!({ "metadata": { "name": "n" }, "spec": {} });
        let eu = node("aws:///eu-west-1a/i-0a", "eu-west-1");
        let cases = [
            (json!([]), None, None),
            (json!([eu]), Some("aws"), Some("eu-west-1")),
            (
                json!([eu, node("aws://b", "eu-west-1")]),
                Some("aws"),
                Some("eu-west-1"),
            ),
            (
                json!([eu, node("gce://b", "eu-west-1")]),
                None,
                Some("eu-west-1"),
            ),
            (json!([eu, node("aws://b", "us-east-1")]), Some("aws"), None),
            (json!([eu, bare]), None, None),
            (json!([bare, eu]), None, None),
            (json!([node("no-scheme", "")]), None, None),
            (json!([node("://x", "a\nb")]), None, None),
        ];
        for (nodes, provider, region) in cases {
            let wanted = (provider.map(str::to_owned), region.map(str::to_owned));
            assert_eq!(found(nodes.clone()), wanted, "{nodes}");
        }
    }

    #[test]
    fn what_is_too_long_for_the_broker_is_left_out() {
        let version = "v".repeat(MAX_FACT + 1);
        let ground = Ground::seen(version, &[]);
        assert_eq!(facts(&ground, &Kinds::default()), Facts::default());
    }
}
