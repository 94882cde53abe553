//! PostgreSQL ends and comes back, as it was, as a standby, or without what it committed last.

use anyhow::{Result, ensure};
use brokkr_core::wire::Code;
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Broker, Engine, Failure, OwnServer, PATIENCE, Raw, Stage, eventually, perform};

use super::cut_off::is;
use super::is_torture;
use super::load::{Acknowledged, Load};
use super::polling::{Polling, state};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: make test"]
async fn a_database_that_ends_and_comes_back_lost_nothing() -> Result<(), Failure> {
    perform(Engine::Postgres, coming_back).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: make test"]
async fn a_server_that_crashes_lost_nothing_acknowledged() -> Result<(), Failure> {
    // Its database is on a server of its own.
    perform(Engine::Sqlite, crashing).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: make test"]
async fn a_database_that_takes_no_writes_is_read() -> Result<(), Failure> {
    perform(Engine::Postgres, being_a_standby).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: make test"]
async fn a_database_without_its_last_commits_is_found_out() -> Result<(), Failure> {
    perform(Engine::Postgres, forgetting).await
}

async fn coming_back(stage: &Stage) -> Result<()> {
    let brokers = (stage.broker("here").await?, stage.broker("there").await?);
    lose_nothing(brokers, async |load| {
        stage.database().allow_connections(false).await?;
        load.is_refused().await?;
        stage.database().allow_connections(true).await
    })
    .await
}

async fn crashing(stage: &Stage) -> Result<()> {
    let server = OwnServer::start().await?;
    let broker = async |name| Broker::start(name, server.url(), stage.directory()).await;
    let brokers = (broker("here").await?, broker("there").await?);
    lose_nothing(brokers, async |_| server.crash().await).await
}

/// What two brokers acknowledge is there and everywhere, whatever becomes of their database meanwhile.
async fn lose_nothing(
    (here, there): (Broker, Broker),
    mut trouble: impl AsyncFnMut(&mut Load) -> Result<()>,
) -> Result<()> {
    let key = here.new_agent("edge").await?;
    let mut load = Load::begin(&[&here, &there], 6).await?;
    let stacks = load.stacks().to_vec();
    here.target("edge", &stacks[0]).await?;
    let waiting = Polling::begin(vec![here.client(&key)?, there.client(&key)?]);
    let rounds = if is_torture() { 20 } else { 3 };
    for _ in 0..rounds {
        load.grows(20).await?;
        trouble(&mut load).await?;
    }
    load.grows(20).await?;
    let acknowledged = load.end().await?;
    ensure!(acknowledged.len() >= 20 * rounds, "it was not under load");
    for broker in [&here, &there] {
        is(broker, 200, "ok").await?;
        acknowledged.is_at(broker, &stacks).await?;
    }
    let last = Acknowledged::last(&here, &stacks[0]).await?;
    let stack = here.admin().stack(&stacks[0].parse()?).await?.id;
    waiting.has(&stack.to_string(), last).await?;
    waiting.end().await
}

async fn being_a_standby(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let key = broker.new_agent("edge").await?;
    broker.new_stack("shop").await?;
    broker.target("edge", "shop").await?;
    broker.publish("shop", &config_map("a", "1")).await?;
    let raw = Raw::admin(&broker)?;
    let publish = async |value: &str| {
        let path = "/stacks/shop/deployment-objects";
        let content = config_map("a", value);
        raw.send(reqwest::Method::POST, path, "application/yaml", content)
            .await
    };
    let name = stage.database().name().to_owned();
    let set = format!("alter database {name} set default_transaction_read_only = on");
    stage.database().execute(&set).await?;
    stage.database().allow_connections(true).await?;
    eventually("writes are refused", PATIENCE, async || {
        let problem = publish("2").await?.refuses(503, Code::Unavailable)?;
        ensure!(problem.detail.contains("standby"), "{problem:?}");
        ensure!(problem.retry_after.is_some(), "{problem:?}");
        Ok(())
    })
    .await?;
    is(&broker, 200, "ok").await?;
    ensure!(raw.get("/stacks").await?.status == 200);
    let (_, found) = state(&broker.client(&key)?).await?;
    ensure!(found.stacks[0].sequence == 1, "{found:?}");

    let reset = format!(
        "begin; set transaction read write; alter database {name} reset default_transaction_read_only; commit"
    );
    stage.database().execute(&reset).await?;
    stage.database().allow_connections(true).await?;
    eventually("writes are taken again", PATIENCE, async || {
        let answer = publish("2").await?;
        ensure!(answer.status.is_success(), "{answer:?}");
        Ok(())
    })
    .await
}

async fn forgetting(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let key = broker.new_agent("edge").await?;
    broker.new_stack("shop").await?;
    broker.target("edge", "shop").await?;
    publish(&broker, "1").await?;
    stage.database().allow_connections(false).await?;
    stage.database().copy().await?;
    stage.database().allow_connections(true).await?;
    publish(&broker, "2").await?;
    let agent = broker.client(&key)?;
    let (_, before) = state(&agent).await?;
    ensure!(before.stacks[0].sequence == 2, "{before:?}");

    // The broker runs on.
    stage.database().bring_back().await?;
    eventually("the log says what is missing", PATIENCE, async || {
        let log = std::fs::read_to_string(stage.directory().join("broker.log"))?;
        ensure!(log.contains("does not have any more"), "{log}");
        Ok(())
    })
    .await?;
    is(&broker, 200, "ok").await?;
    let agent = agent.returning(before.epoch, &before.state_token);
    let after = eventually("another history", PATIENCE, async || {
        let (_, after) = state(&agent).await?;
        ensure!(after.epoch != before.epoch, "{after:?}");
        Ok(after)
    })
    .await?;
    ensure!(after.stacks[0].sequence == 1, "{after:?}");
    ensure!(!after.succeeds.contains(&before.epoch), "{after:?}");
    let epochs = broker.admin().epochs().await?;
    let waits = epochs.waiting().any(|epoch| epoch.epoch == before.epoch);
    ensure!(waits, "{epochs:?}");
    Ok(())
}

/// As soon as the database is there.
async fn publish(broker: &Broker, value: &str) -> Result<()> {
    eventually("a publish", PATIENCE, async || {
        broker.publish("shop", &config_map("a", value)).await
    })
    .await?;
    Ok(())
}
