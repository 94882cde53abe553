//! What does not grow with the fleet: the start, a publish to one agent, a page of a long list.

use std::time::Instant;

use anyhow::{Result, ensure};
use brokkr_core::wire::{Page, TargetStatus};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Broker, Engine, Raw, Stage, cpu};

use crate::figure::{Figure, Must};
use crate::seed::{Fleet, ONE, WIDE};

const RUNS: usize = 3;
const PUBLISHES: u32 = 400;
const PAGES: usize = 20;

const SMALL: Fleet = Fleet {
    agents: 1_000,
    stacks: 500,
    history: 20,
    reach: 1,
};
const MANY_AGENTS: Fleet = Fleet {
    agents: 100_000,
    ..SMALL
};
const LONG_HISTORY: Fleet = Fleet {
    stacks: 50_000,
    ..SMALL
};
const LARGE: Fleet = Fleet {
    agents: 100_000,
    stacks: 50_000,
    history: 20,
    reach: 10,
};

pub async fn measure() -> Result<Vec<Figure>> {
    let small = publishes(SMALL).await?;
    let growth = |large: &[f64]| -> Vec<f64> {
        large
            .iter()
            .zip(&small)
            .map(|(large, small)| large / small)
            .collect()
    };
    let by_agents = growth(&publishes(MANY_AGENTS).await?);
    let by_history = growth(&publishes(LONG_HISTORY).await?);
    let (starts, pages) = starts_and_pages().await?;
    Ok(vec![
        Figure::of("cold_start_s", "s", &starts, Must::AtMost(2.5)),
        Figure::of(
            "publish_growth_agents",
            "ratio",
            &by_agents,
            Must::AtMost(1.3),
        ),
        Figure::of(
            "publish_growth_history",
            "ratio",
            &by_history,
            Must::AtMost(1.3),
        ),
        Figure::of(
            "statuses_6000_first_page_ms",
            "ms",
            &pages,
            Must::AtMost(50.0),
        ),
    ])
}

/// CPU time of the broker for a publish to one agent, in microseconds, of each run.
async fn publishes(fleet: Fleet) -> Result<Vec<f64>> {
    let stage = Stage::set(Engine::Sqlite).await?;
    let broker = fleet.seed(&stage).await?;
    // What a broker does once after it has started is not a publish's.
    publish(&broker, "first").await?;
    let mut micros = Vec::new();
    for run in 1..=RUNS {
        let before = cpu::seconds(broker.process().id()?)?;
        publish(&broker, &run.to_string()).await?;
        let spent = cpu::seconds(broker.process().id()?)? - before;
        micros.push(spent * 1e6 / f64::from(PUBLISHES));
    }
    eprintln!(
        "{} agents, {} deployment objects: {micros:.0?} µs of CPU a publish",
        fleet.agents,
        fleet.stacks * fleet.history
    );
    Ok(micros)
}

async fn publish(broker: &Broker, run: &str) -> Result<()> {
    for number in 0..PUBLISHES {
        broker
            .publish(ONE, &config_map("a", &format!("{run}-{number}")))
            .await?;
    }
    Ok(())
}

/// How many seconds each start takes, until the broker answers; and how many milliseconds the first page of a long list.
async fn starts_and_pages() -> Result<(Vec<f64>, Vec<f64>)> {
    let stage = Stage::set(Engine::Sqlite).await?;
    let mut broker = LARGE.seed(&stage).await?;
    let mut starts = Vec::new();
    for _ in 0..RUNS {
        broker.terminate().await?;
        let begun = Instant::now();
        broker.start_again().await?;
        broker.admin().me().await?;
        starts.push(begun.elapsed().as_secs_f64());
    }
    let memory = broker.process().memory()? / 1_048_576;
    eprintln!("cold starts: {starts:.2?} s, then {memory} MiB");
    let admin = Raw::admin(&broker)?;
    let mut pages = Vec::new();
    for _ in 0..PAGES {
        let begun = Instant::now();
        let answer = admin.get(&format!("/stacks/{WIDE}/status")).await?;
        pages.push(begun.elapsed().as_secs_f64() * 1e3);
        let page: Page<TargetStatus> = serde_json::from_str(&answer.body)?;
        ensure!(
            page.items.len() >= 50 && page.next.is_some(),
            "{} of 6,001 statuses are no first page",
            page.items.len()
        );
    }
    Ok((starts, pages))
}
