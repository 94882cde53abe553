//! Agents that poll for ever, and when they saw what.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use brokkr_client::{Client, Poll};
use tokio::sync::mpsc;
use tokio::time::timeout;

const WAIT: Duration = Duration::from_secs(30);

/// What agents see of the sequences of their stack.
pub struct Sightings {
    seen: mpsc::UnboundedSender<(u64, Instant)>,
    sightings: mpsc::UnboundedReceiver<(u64, Instant)>,
}

impl Sightings {
    pub fn new() -> Self {
        let (seen, sightings) = mpsc::unbounded_channel();
        Self { seen, sightings }
    }

    /// Has one more agent poll.
    pub fn watch(&self, agent: Client) {
        tokio::spawn(poll(agent, self.seen.clone()));
    }

    /// When the next agent saw this sequence.
    pub async fn next_of(&mut self, sequence: u64) -> Result<Instant> {
        loop {
            let next = timeout(WAIT, self.sightings.recv());
            let (seen, at) = next
                .await
                .with_context(|| format!("an agent never saw sequence {sequence}"))?
                .context("an agent asks no more")?;
            if seen == sequence {
                return Ok(at);
            }
        }
    }
}

async fn poll(
    agent: Client,
    seen: mpsc::UnboundedSender<(u64, Instant)>,
) -> brokkr_client::Result<()> {
    let mut known = None;
    loop {
        let polled = agent.target_state(known.as_deref(), WAIT, WAIT).await?;
        let at = Instant::now();
        if let Poll::Changed { etag, state } = polled {
            known = Some(etag);
            for stack in &state.stacks {
                // Nobody listens any more when all is measured.
                let _ = seen.send((stack.sequence, at));
            }
        }
    }
}
