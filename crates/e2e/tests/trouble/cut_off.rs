//! A broker whose database does not answer any more, while nothing is closed.

use anyhow::{Context, Result, ensure};
use brokkr_core::wire::{Code, STALE_HEADER};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{
    Broker, Engine, Failure, PATIENCE, Proxy, Raw, Route, Stage, eventually, perform,
};

use super::is_torture;
use super::load::Load;
use super::polling::{Polling, state};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: make test"]
async fn a_replica_that_is_cut_off_says_so_and_recovers() -> Result<(), Failure> {
    perform(Engine::Postgres, being_cut_off).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: make test"]
async fn a_dead_listener_delays_and_is_replaced() -> Result<(), Failure> {
    perform(Engine::Postgres, losing_the_listener).await
}

async fn being_cut_off(stage: &Stage) -> Result<()> {
    let line = Proxy::start(Route::Through(stage.database().server()?)).await?;
    let url = stage.database().url_through(&line)?;
    let broker = Broker::start("broker", &url, stage.directory()).await?;
    let key = broker.new_agent("edge").await?;
    let calm = broker.new_stack("calm").await?.id.to_string();
    broker.target("edge", "calm").await?;
    broker.publish("calm", &config_map("a", "1")).await?;
    let (etag, _) = state(&broker.client(&key)?).await?;
    let waiting = Polling::begin(vec![broker.client(&key)?]);
    waiting.has(&calm, 1).await?;
    let mut load = Load::begin(&[&broker], 4).await?;
    let stacks = load.stacks().to_vec();
    load.grows(20).await?;

    line.freeze();
    is(&broker, 200, "degraded").await?;
    let poll = poll(&broker, &key, &etag).await?;
    ensure!(poll.status() == 304, "{poll:?}");
    let seconds = poll.headers().get(STALE_HEADER);
    let seconds: u64 = seconds
        .context("it does not say how old it is")?
        .to_str()?
        .parse()?;
    ensure!((5..60).contains(&seconds), "{seconds}");
    load.is_refused().await?;
    let read = Raw::admin(&broker)?.get("/stacks").await?;
    read.refuses(503, Code::Unavailable)?;
    if is_torture() {
        is(&broker, 503, "not answered for too long").await?;
        let poll = self::poll(&broker, &key, &etag).await?;
        ensure!(poll.status() == 503, "{poll:?}");
    }

    line.thaw();
    is(&broker, 200, "ok").await?;
    load.grows(20).await?;

    // What is under way hears nothing any more, and is not told so; new connections pass.
    line.forget();
    load.grows(20).await?;
    is(&broker, 200, "ok").await?;
    let fresh = self::poll(&broker, &key, &etag).await?;
    ensure!(!fresh.headers().contains_key(STALE_HEADER), "{fresh:?}");
    let acknowledged = load.end().await?;
    acknowledged.is_at(&broker, &stacks).await?;
    broker.publish("calm", &config_map("a", "2")).await?;
    if !is_torture() {
        waiting.has(&calm, 2).await?;
        waiting.end().await?;
    }
    Ok(())
}

async fn losing_the_listener(stage: &Stage) -> Result<()> {
    let line = Proxy::start(Route::Through(stage.database().server()?)).await?;
    let url = stage.database().url_through(&line)?;
    let here = stage.broker("here").await?;
    let there = Broker::start("there", &url, stage.directory()).await?;
    let key = here.new_agent("edge").await?;
    let stack = here.new_stack("shop").await?.id.to_string();
    here.target("edge", "shop").await?;
    let waiting = Polling::begin(vec![there.client(&key)?]);
    let listens = async || {
        ensure!(line.forget_listeners() == 1, "nobody listens");
        Ok(())
    };
    eventually("the broker listens", PATIENCE, listens).await?;
    for sequence in 1..=3 {
        let content = config_map("a", &sequence.to_string());
        here.publish("shop", &content).await?;
        waiting.has(&stack, sequence).await?;
    }
    eventually("the broker listens anew", PATIENCE, listens).await?;
    here.publish("shop", &config_map("a", "4")).await?;
    waiting.has(&stack, 4).await?;
    waiting.end().await
}

/// Waits until a broker says of itself that it is so.
pub async fn is(broker: &Broker, status: u16, word: &str) -> Result<()> {
    let url = format!("{}/readyz", broker.url());
    let http = reqwest::Client::builder().no_proxy().build()?;
    eventually(word, 2 * PATIENCE, async || {
        let answer = http.get(&url).send().await?;
        let (found, text) = (answer.status(), answer.text().await?);
        ensure!(found == status && text.contains(word), "{found}: {text}");
        Ok(())
    })
    .await
}

/// A poll that does not wait.
async fn poll(broker: &Broker, key: &str, etag: &str) -> Result<reqwest::Response> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("{}/api/v1/agent/target-state", broker.url());
    let poll = http.get(url).bearer_auth(key).header("if-none-match", etag);
    Ok(poll.timeout(PATIENCE).send().await?)
}
