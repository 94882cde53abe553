//! Asking agents something and waiting for their answers, each for itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use brokkr_client::{Client, Error};
use brokkr_core::name::{Name, Reference};
use brokkr_core::wire::{Ask, RequestAnswer};
use clap::Args;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::duration;

/// How many agents are asked at the same time.
const AT_ONCE: usize = 16;
/// A replica that has not heard of the request yet answers at once.
const PAUSE: Duration = Duration::from_millis(200);

/// For how long to wait for answers.
#[derive(Args)]
pub struct Patience {
    /// For how long to wait for each agent's answer
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = duration::parse)]
    timeout: Duration,
}

/// What an agent answered, or why it did not.
#[derive(Serialize)]
pub struct Answered {
    pub agent: Name,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<RequestAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// The agents that are meant: this one, or all that run the stack.
pub async fn agents(
    client: &Client,
    agent: Option<&Reference>,
    stack: Option<&Reference>,
) -> anyhow::Result<Vec<Name>> {
    if let Some(agent) = agent {
        return Ok(vec![client.agent(agent).await?.name]);
    }
    let targets = client.agent_targets(stack, None).await?;
    if let (true, Some(stack)) = (targets.is_empty(), stack) {
        // One that does not exist is an error of its own.
        client.stack(stack).await?;
        bail!(
            "no agent runs stack {stack} — `brokkr stack target {stack} --agent AGENT` makes one"
        );
    }
    let mut names: Vec<_> = targets
        .into_iter()
        .map(|target| target.agent_name)
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

impl Patience {
    /// Asks all of them, and waits for each. In the order of their names.
    pub async fn ask(&self, client: &Client, agents: Vec<Name>, ask: Ask) -> Vec<Answered> {
        let (ask, turns) = (Arc::new(ask), Arc::new(Semaphore::new(AT_ONCE)));
        let mut asking = JoinSet::new();
        for agent in agents {
            let (client, ask, turns) = (client.clone(), Arc::clone(&ask), Arc::clone(&turns));
            let timeout = self.timeout;
            asking.spawn(async move {
                let _turn = turns.acquire().await;
                let answer = ask_one(&client, &agent, &ask, timeout).await;
                let (answer, failure) = match answer {
                    Ok(answer) => (Some(answer), None),
                    Err(failure) => (None, Some(failure)),
                };
                Answered {
                    agent,
                    answer,
                    failure,
                }
            });
        }
        let mut answers: Vec<_> = asking.join_all().await;
        answers.sort_by(|a, b| a.agent.cmp(&b.agent));
        answers
    }
}

async fn ask_one(
    client: &Client,
    agent: &Name,
    ask: &Ask,
    timeout: Duration,
) -> Result<RequestAnswer, String> {
    let told = |error: Error| error.to_string();
    let deadline = Instant::now() + timeout;
    let reference = Reference::Named {
        owner: None,
        name: agent.clone(),
    };
    let request = client.ask(&reference, ask).await.map_err(told)?.id;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let wait = left.max(Duration::from_secs(1));
        match client
            .agent_request(request, wait)
            .await
            .map_err(told)?
            .answer
        {
            Some(RequestAnswer::Failed { reason }) => return Err(reason),
            Some(answer) => return Ok(answer),
            None if left.is_zero() => {
                let seconds = timeout.as_secs();
                return Err(format!("it has not answered within {seconds} s"));
            }
            None => sleep(PAUSE).await,
        }
    }
}

/// An error if not every agent answered.
pub fn check(answers: &[Answered]) -> anyhow::Result<()> {
    let failed = answers.iter().filter(|one| one.failure.is_some()).count();
    if failed > 0 {
        bail!("{failed} of {} agents did not answer", answers.len());
    }
    Ok(())
}
