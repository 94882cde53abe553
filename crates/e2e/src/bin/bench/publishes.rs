//! How many publishes the broker makes durable when many publish at once.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use brokkr_client::Client;
use brokkr_core::ambient::{Ambient as _, System};
use brokkr_core::name::Reference;
use brokkr_core::targeting::AgentScope;
use brokkr_core::wire::{CreateGenerator, CreateStack, PatchQuota, Publish, PublishOptions};
use brokkr_e2e::{Broker, Engine, Stage};
use futures::future::try_join_all;

use crate::figure::{Figure, Must, p99};

const RUNS: usize = 3;
const WRITERS: usize = 32;
/// Of the manifests, in bytes.
const SIZE: usize = 3_000;
const RUN: Duration = Duration::from_secs(5);
/// A run with less traffic proves nothing.
const LEAST_PUBLISHES: u32 = 1_000;

pub async fn measure() -> Result<Vec<Figure>> {
    let sqlite = Names {
        rate: "publishes_per_s_sqlite",
        p99_ms: "publish_p99_ms_sqlite",
    };
    let postgres = Names {
        rate: "publishes_per_s_postgres",
        p99_ms: "publish_p99_ms_postgres",
    };
    let mut figures = on(Engine::Sqlite, sqlite, 1_500.0, 40.0).await?;
    figures.extend(on(Engine::Postgres, postgres, 1_000.0, 60.0).await?);
    Ok(figures)
}

/// What the figures of one engine are called.
struct Names {
    rate: &'static str,
    p99_ms: &'static str,
}

async fn on(engine: Engine, names: Names, least: f64, most_ms: f64) -> Result<Vec<Figure>> {
    let stage = Stage::set(engine).await?;
    let broker = stage.broker("broker").await?;
    let writers = try_join_all((0..WRITERS).map(|number| Writer::new(&broker, number))).await?;
    let (mut rates, mut p99s) = (Vec::new(), Vec::new());
    for run in 1..=RUNS {
        let start = Instant::now();
        let publishing = writers
            .iter()
            .map(|writer| writer.publish_until(start + RUN));
        let mut millis = try_join_all(publishing).await?.concat();
        let published = u32::try_from(millis.len())?;
        let rate = f64::from(published) / start.elapsed().as_secs_f64();
        ensure!(
            published >= LEAST_PUBLISHES,
            "{published} publishes are too little traffic"
        );
        let p99 = p99(&mut millis);
        eprintln!("{engine:?} publishes, run {run}: {rate:.0}/s, p99 {p99:.1} ms");
        rates.push(rate);
        p99s.push(p99);
    }
    Ok(vec![
        Figure::of(names.rate, "/s", &rates, Must::AtLeast(least)),
        Figure::of(names.p99_ms, "ms", &p99s, Must::AtMost(most_ms)),
    ])
}

/// A generator with a stack of its own.
struct Writer {
    client: Client,
    stack: Reference,
}

impl Writer {
    async fn new(broker: &Broker, number: usize) -> Result<Self> {
        let name = format!("writer-{number}");
        let create = CreateGenerator {
            quota: PatchQuota {
                publishes_per_minute: Some(Some(1_000_000)),
                ..PatchQuota::default()
            },
            ..CreateGenerator::new(name.parse()?, AgentScope::AllAgents)
        };
        let key = broker.admin().create_generator(&create).await?.pak;
        let client = broker.client(&key)?;
        let create = CreateStack::named(name.parse()?);
        let stack = client.create_stack(&create).await?.id;
        let stack = Reference::Id(stack.uuid());
        Ok(Self { client, stack })
    }

    /// Publishes one thing after the other; answers how many milliseconds each took.
    async fn publish_until(&self, end: Instant) -> Result<Vec<f64>> {
        let mut millis = Vec::new();
        while Instant::now() < end {
            let publish = Publish {
                manifests: content(),
                options: PublishOptions::default(),
            };
            let begun = Instant::now();
            self.client.publish(&self.stack, &publish).await?;
            millis.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        Ok(millis)
    }
}

/// A ConfigMap that was never published before and compresses to about half.
pub fn content() -> String {
    let mut text =
        String::from("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  filler: ");
    let mut random = [0; 32];
    while text.len() < SIZE {
        System.fill(&mut random);
        for byte in random {
            let _ = write!(text, "{byte:02x}");
        }
    }
    text.push('\n');
    text
}
