use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use brokkr_client::Client;
use brokkr_core::name::Reference;
use brokkr_core::wire::{Publish, PublishOptions};
use brokkr_core::{Backoff, Digest};
use tokio::time::{Instant, sleep, sleep_until};

use super::agent::World;

/// Publishes one stack again and again, at times that were fixed before.
pub struct Publisher {
    pub world: Arc<World>,
    pub client: Client,
    pub stack: Reference,
    /// How many agents run it.
    pub reach: usize,
    /// How many bytes each content has.
    pub size: usize,
    pub timetable: Timetable,
}

/// When a stack is published.
#[derive(Clone, Copy)]
pub struct Timetable {
    pub first: Instant,
    pub period: Duration,
    /// From here on it is measured.
    pub counts_from: Instant,
    pub end: Instant,
}

/// What is refused is soon tried again, as long as it is worth measuring.
const PATIENCE: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));
/// How long after the last one was due.
const LONGEST_REFUSAL: Duration = Duration::from_mins(1);

impl Timetable {
    /// When which publish is due.
    fn due(&self) -> impl Iterator<Item = Instant> {
        let Self {
            first, period, end, ..
        } = *self;
        std::iter::successors(Some(first), move |due| Some(*due + period))
            .take_while(move |due| *due < end)
    }

    /// How many publishes are due while it is measured.
    pub fn counted(&self) -> usize {
        let counts_from = self.counts_from;
        self.due().filter(|due| *due >= counts_from).count()
    }
}

impl Publisher {
    /// Publishes for the first time: before there are agents, so that each has something to run.
    pub async fn begin(&self) -> Result<Digest, brokkr_client::Error> {
        let content = self.content(0);
        let digest = Digest::of(None, &content);
        let begun = Instant::now();
        self.world.ledger.announce(digest, begun, self.reach, false);
        self.publish(content).await?;
        Ok(digest)
    }

    /// Publishes until the end; answers what was published last.
    pub async fn run(self, begun_with: Digest) -> anyhow::Result<Digest> {
        let mut last = begun_with;
        for (number, due) in (1..).zip(self.timetable.due()) {
            let content = self.content(number);
            last = Digest::of(None, &content);
            let is_late = Instant::now() > due;
            sleep_until(due).await;
            // What waited for the publish before it counts from when it was due; a timer's own delay is not the broker's.
            let begun = if is_late { due } else { Instant::now() };
            let counts = due >= self.timetable.counts_from;
            self.world.ledger.announce(last, begun, self.reach, counts);
            let mut backoff = PATIENCE;
            while let Err(error) = self.publish(content.clone()).await {
                self.world.tally.failed(&error);
                anyhow::ensure!(
                    Instant::now() < self.timetable.end + LONGEST_REFUSAL,
                    "a publish is refused again and again: {error}"
                );
                sleep(backoff.next_after(error.retry_after(), &*self.world.ambient)).await;
            }
            if counts {
                self.world.tally.published.add(begun.elapsed());
                self.world.tally.publishes.add(1);
            }
        }
        Ok(last)
    }

    async fn publish(&self, content: String) -> Result<(), brokkr_client::Error> {
        let publish = Publish {
            manifests: content,
            options: PublishOptions::default(),
        };
        self.client.publish(&self.stack, &publish).await.map(drop)
    }

    /// A ConfigMap of about the size, which compresses to about half.
    fn content(&self, number: u64) -> String {
        let mut text = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: simulated\ndata:\n  number: \"{number}\"\n  filler: "
        );
        let mut random = [0; 32];
        while text.len() < self.size {
            self.world.ambient.fill(&mut random);
            for byte in random {
                let _ = write!(text, "{byte:02x}");
            }
        }
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use brokkr_client::{Fault, PlainHttp, Transport};
    use brokkr_core::ambient::System;
    use brokkr_core::pak::{Pak, Role};
    use futures::FutureExt as _;
    use futures::future::BoxFuture;
    use serde_json::json;
    use tokio_util::sync::CancellationToken;
    use tokio_util::task::TaskTracker;

    use super::super::agent::Habits;
    use super::super::ledger::Ledger;
    use super::super::tally::Tally;
    use super::*;

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    /// A broker that is busy until a time.
    #[derive(Debug)]
    struct Busy(Instant);

    impl Transport for Busy {
        fn carry(&self, _: reqwest::Request) -> BoxFuture<'_, Result<reqwest::Response, Fault>> {
            let (status, body) = if Instant::now() < self.0 {
                let problem = json!({
                    "type": "urn:brokkr:problem:unavailable", "title": "no", "status": 503, "code": "unavailable",
                    "detail": "busy", "retry_after": 5,
                });
                (503, problem)
            } else {
                let object = json!({
                    "id": ID, "stack": ID, "sequence": 1, "digest": Digest::of(None, ""), "size": 1, "objects": 1,
                    "author": "me", "created_at": "2026-11-30T12:00:00Z",
                });
                (
                    201,
                    json!({"deployment_object": object, "unchanged": false}),
                )
            };
            let answer = http::Response::builder()
                .status(status)
                .body(body.to_string());
            async move { Ok(answer.expect("an answer").into()) }.boxed()
        }
    }

    /// One publish, by a broker that is busy for so long.
    async fn publish(busy: Duration) -> anyhow::Result<Digest> {
        let now = Instant::now();
        let client = Client::new(
            "http://127.0.0.1:1",
            Pak::generate(Role::Admin, &System),
            PlainHttp::LoopbackOnly,
        );
        let publisher = Publisher {
            world: Arc::new(World {
                habits: Habits {
                    wait: Duration::ZERO,
                    interval: Duration::ZERO,
                    apply_time: Duration::ZERO,
                    failures: 0.0,
                },
                ledger: Ledger::default(),
                tally: Tally::default(),
                ambient: Box::new(System),
                work: TaskTracker::new(),
                stopping: CancellationToken::new(),
            }),
            client: client.expect("an address").over(Arc::new(Busy(now + busy))),
            stack: ID.parse().expect("an id"),
            reach: 1,
            size: 100,
            timetable: Timetable {
                first: now,
                period: Duration::from_secs(2),
                counts_from: now,
                end: now + Duration::from_secs(1),
            },
        };
        publisher.run(Digest::of(None, "")).await
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_for_a_minute_is_given_up() {
        let begun = Instant::now();
        publish(Duration::from_secs(55)).await.expect("published");
        assert!(begun.elapsed() >= Duration::from_secs(55));
        let begun = Instant::now();
        let refused = publish(Duration::from_hours(1)).await;
        let refused = refused.expect_err("given up").to_string();
        assert!(refused.contains("refused again and again"), "{refused}");
        let took = begun.elapsed();
        let minute = Duration::from_secs(61);
        assert!(
            minute <= took && took <= minute + Duration::from_secs(10),
            "{took:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_due_before_the_measuring_does_not_count() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let timetable = Timetable {
            first: now,
            period: second / 2,
            counts_from: now + 5 * second,
            end: now + 15 * second,
        };
        assert_eq!(timetable.due().count(), 30);
        assert_eq!(timetable.counted(), 20);
    }
}
