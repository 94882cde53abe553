//! An agent's polls, from one broker to the next.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use brokkr_client::{Client, Poll};
use brokkr_core::wire::{Code, TargetState};
use brokkr_e2e::{PATIENCE, eventually};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::load::is_forgivable;

const WAIT: Duration = Duration::from_secs(20);

/// The state that an agent has, by its first poll.
pub async fn state(client: &Client) -> Result<(String, TargetState)> {
    match client
        .target_state(None, Duration::ZERO, Duration::from_secs(1))
        .await?
    {
        Poll::Changed { etag, state } => Ok((etag, *state)),
        Poll::Unchanged => bail!("a first poll is answered whole"),
    }
}

/// An agent that waits at one of several brokers, and at the next one when that fails.
pub struct Polling {
    sequences: watch::Receiver<HashMap<String, u64>>,
    task: JoinHandle<Result<()>>,
}

impl Polling {
    pub fn begin(clients: Vec<Client>) -> Self {
        let (told, sequences) = watch::channel(HashMap::new());
        let task = tokio::spawn(async {
            let polling = poll(clients, told).await;
            polling.inspect_err(|error| eprintln!("the agent ended: {error:#}"))
        });
        Self { sequences, task }
    }

    /// Waits until it has this version of a stack. It must not have met what no broker may answer.
    pub async fn has(&self, stack: &str, sequence: u64) -> Result<()> {
        eventually("the agent has the last version", PATIENCE, async || {
            ensure!(!self.task.is_finished(), "it ended, as is said above");
            let found = self.sequences.borrow().get(stack).copied();
            ensure!(found == Some(sequence), "{found:?}, not {sequence}");
            Ok(())
        })
        .await
    }

    pub async fn end(self) -> Result<()> {
        drop(self.sequences);
        self.task.await?
    }
}

async fn poll(mut clients: Vec<Client>, told: watch::Sender<HashMap<String, u64>>) -> Result<()> {
    let mut accepted: Option<(String, TargetState)> = None;
    let mut failures = 0;
    while !told.is_closed() {
        let etag = accepted.as_ref().map(|(etag, _)| etag.as_str());
        let poll = clients[0].target_state(etag, WAIT, Duration::from_secs(1));
        let answer = tokio::select! {
            answer = poll => answer,
            () = told.closed() => break,
        };
        match answer {
            Ok(Poll::Unchanged) => failures = 0,
            Ok(Poll::Changed { etag, state }) => {
                failures = 0;
                if let Some((_, before)) = &accepted {
                    ensure!(before.epoch == state.epoch, "another history: {state:?}");
                    // A replica that lags.
                    if state.revision < before.revision {
                        clients.rotate_left(1);
                        continue;
                    }
                }
                let stacks = state.stacks.iter();
                told.send_replace(
                    stacks
                        .map(|stack| (stack.stack.to_string(), stack.sequence))
                        .collect(),
                );
                accepted = Some((etag, *state));
            }
            // It may have been registered at another replica just now.
            Err(error) if accepted.is_none() && error.code() == Some(Code::Unauthenticated) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => {
                is_forgivable(&error)?;
                failures += 1;
                ensure!(failures < clients.len(), "no broker answers: {error:?}");
                clients.rotate_left(1);
            }
        }
    }
    Ok(())
}
