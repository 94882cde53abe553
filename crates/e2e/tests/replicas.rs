//! Several brokers on one PostgreSQL are one: what one accepted, an agent that waits at another gets.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use brokkr_client::{Client, Poll};
use brokkr_core::wire::TargetState;
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Broker, Engine, Failure, PATIENCE, Stage, eventually, perform};
use reqwest::header::{COOKIE, ORIGIN, SET_COOKIE};
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: make test"]
async fn an_agent_that_waits_at_one_replica_gets_what_another_accepted() -> Result<(), Failure> {
    perform(Engine::Postgres, waiting_at_another_replica).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: make test"]
async fn who_signs_in_at_one_replica_is_signed_in_at_all() -> Result<(), Failure> {
    perform(Engine::Postgres, signed_in_everywhere).await
}

async fn signed_in_everywhere(stage: &Stage) -> Result<()> {
    let here = stage.broker("here").await?;
    let there = stage.broker("there").await?;
    let key = std::fs::read_to_string(here.key_file())?;
    let http = reqwest::Client::new();
    let at = |broker: &Broker, path: &str| format!("{}/api/v1{path}", broker.url());
    let request = http.post(at(&here, "/session")).bearer_auth(key.trim());
    let answer = request.send().await?.error_for_status()?;
    let cookie = answer.headers()[SET_COOKIE].to_str()?.to_owned();
    let cookie = cookie.split(';').next().context("a cookie")?;
    let is_known = async |broker: &Broker, status: u16| {
        let request = http.get(at(broker, "/me")).header(COOKIE, cookie);
        let found = request.send().await?.status();
        ensure!(found == status, "{found}");
        Ok(())
    };
    is_known(&here, 200).await?;
    eventually("known there", PATIENCE, async || {
        is_known(&there, 200).await
    })
    .await?;
    let request = http.delete(at(&there, "/session")).header(COOKIE, cookie);
    let request = request
        .header("brokkr-console", "1")
        .header(ORIGIN, there.url());
    request.send().await?.error_for_status()?;
    is_known(&there, 401).await?;
    eventually("gone here", PATIENCE, async || is_known(&here, 401).await).await
}

const PUBLISHES: u64 = 20;
const WAIT: Duration = Duration::from_secs(50);

async fn waiting_at_another_replica(stage: &Stage) -> Result<()> {
    let mut here = stage.broker("here").await?;
    let mut there = stage.broker("there").await?;
    let key = targeted_agent(&here).await?;

    let mut waiting = Waiting::begin(there.client(&key)?).await?;
    for sequence in 1..=PUBLISHES {
        // Both replicas accept, in turn.
        let at = if sequence % 4 == 0 { &there } else { &here };
        publish(at, sequence).await?;
        waiting.hears_of(sequence).await?;
    }

    here.kill().await?;
    there.kill().await?;
    here.start_again().await?;
    there.start_again().await?;
    let states = [
        state(&here.client(&key)?).await?,
        state(&there.client(&key)?).await?,
    ];
    for (etag, state) in &states {
        ensure!(
            etag == &states[0].0,
            "the replicas name one state differently"
        );
        ensure!(waiting.state.epoch == state.epoch && waiting.state.revision == state.revision);
        ensure!(waiting.state.stacks == state.stacks, "{state:?}");
    }
    publish(&there, PUBLISHES + 1).await?;
    Waiting {
        client: here.client(&key)?,
        etag: states[0].0.clone(),
        state: waiting.state,
    }
    .hears_of(PUBLISHES + 1)
    .await
}

/// An agent's side of a long poll.
struct Waiting {
    client: Client,
    etag: String,
    state: TargetState,
}

impl Waiting {
    async fn begin(client: Client) -> Result<Self> {
        let (etag, state) = state(&client).await?;
        Ok(Self {
            client,
            etag,
            state,
        })
    }

    async fn hears_of(&mut self, sequence: u64) -> Result<()> {
        loop {
            let poll = self
                .client
                .target_state(Some(&self.etag), WAIT, Duration::from_secs(1));
            let what = || format!("sequence {sequence} did not reach the other replica");
            let Poll::Changed { etag, state } =
                timeout(PATIENCE, poll).await.with_context(what)??
            else {
                bail!("{}: the wait ended unchanged", what());
            };
            ensure!(
                state.revision > self.state.revision,
                "{} after {}",
                state.revision,
                self.state.revision
            );
            (self.etag, self.state) = (etag, *state);
            let seen = self.state.stacks.first().map_or(0, |stack| stack.sequence);
            ensure!(seen <= sequence, "{seen} was never published");
            if seen == sequence {
                return Ok(());
            }
        }
    }
}

async fn state(client: &Client) -> Result<(String, TargetState)> {
    match client
        .target_state(None, Duration::ZERO, Duration::from_secs(1))
        .await?
    {
        Poll::Changed { etag, state } => Ok((etag, *state)),
        Poll::Unchanged => bail!("a first poll is answered whole"),
    }
}

async fn targeted_agent(broker: &Broker) -> Result<String> {
    let key = broker.new_agent("edge").await?;
    broker.new_stack("checkout").await?;
    broker.target("edge", "checkout").await?;
    Ok(key)
}

async fn publish(broker: &Broker, sequence: u64) -> Result<()> {
    let published = broker
        .publish("checkout", &config_map("a", &sequence.to_string()))
        .await?;
    ensure!(
        published.deployment_object.sequence == sequence,
        "{published:?}"
    );
    Ok(())
}
