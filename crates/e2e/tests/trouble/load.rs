//! Writers that go on through trouble, and remember what was acknowledged.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use brokkr_client::{Client, Error};
use brokkr_core::Reference;
use brokkr_core::wire::{Code, DeploymentObject, Publish, PublishOptions};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Broker, PATIENCE, unique};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Writers, each with a stack of its own, `load-0` and so on.
pub struct Load {
    stacks: Vec<String>,
    writers: JoinSet<Result<Vec<DeploymentObject>>>,
    seen: watch::Sender<Seen>,
    over: watch::Sender<bool>,
}

/// What they met.
#[derive(Clone, Copy, Default, Debug)]
struct Seen {
    acknowledged: usize,
    refused: usize,
}

/// What they were told is kept.
pub struct Acknowledged(Vec<DeploymentObject>);

impl Load {
    /// They begin at these brokers, and go to the next one when one fails them.
    pub async fn begin(brokers: &[&Broker], writers: usize) -> Result<Self> {
        let first = brokers.first().context("a broker")?;
        let clients: Vec<_> = brokers
            .iter()
            .map(|broker| broker.admin().clone())
            .collect();
        let mut load = Self {
            stacks: Vec::new(),
            writers: JoinSet::new(),
            seen: watch::Sender::default(),
            over: watch::Sender::default(),
        };
        for number in 0..writers {
            let stack = format!("load-{number}");
            first.new_stack(&stack).await?;
            let mut clients = clients.clone();
            clients.rotate_left(number % brokers.len());
            load.writers.spawn(write(
                clients,
                stack.parse()?,
                load.seen.clone(),
                load.over.subscribe(),
            ));
            load.stacks.push(stack);
        }
        Ok(load)
    }

    pub fn stacks(&self) -> &[String] {
        &self.stacks
    }

    /// Waits until so many more writes are acknowledged.
    pub async fn grows(&mut self, more: usize) -> Result<()> {
        let goal = self.seen.borrow().acknowledged + more;
        self.comes_to(|seen| seen.acknowledged >= goal)
            .await
            .with_context(|| format!("{more} more writes"))
    }

    /// Waits until one more is refused.
    pub async fn is_refused(&mut self) -> Result<()> {
        let goal = self.seen.borrow().refused + 1;
        self.comes_to(|seen| seen.refused >= goal)
            .await
            .context("a refusal")
    }

    async fn comes_to(&mut self, enough: impl Fn(&Seen) -> bool) -> Result<()> {
        let mut seen = self.seen.subscribe();
        tokio::select! {
            Some(ended) = self.writers.join_next() => {
                ended??;
                bail!("a writer ended");
            }
            reached = tokio::time::timeout(PATIENCE, seen.wait_for(|seen| enough(seen))) => {
                let last = *self.seen.borrow();
                reached.with_context(|| format!("{last:?} for {PATIENCE:?}"))??;
            }
        }
        Ok(())
    }

    /// Lets each finish what it does, through whatever trouble there still is.
    pub async fn end(mut self) -> Result<Acknowledged> {
        self.over.send_replace(true);
        let mut all = Vec::new();
        while let Some(acknowledged) = self.writers.join_next().await {
            all.extend(acknowledged??);
        }
        Ok(Acknowledged(all))
    }
}

impl Acknowledged {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The last sequence of a stack.
    pub async fn last(broker: &Broker, stack: &str) -> Result<u64> {
        let history = broker.admin().history(&stack.parse()?).await?;
        Ok(history.first().map_or(0, |object| object.sequence))
    }

    /// All of it has to be there, once and unchanged.
    pub async fn is_at(&self, broker: &Broker, stacks: &[String]) -> Result<()> {
        let mut found = Vec::new();
        for stack in stacks {
            let history = broker.admin().history(&stack.parse()?).await?;
            let sequences = history.iter().rev().map(|object| object.sequence);
            ensure!(
                sequences.eq(1..=history.len() as u64),
                "the sequences of {stack} have gaps or duplicates"
            );
            found.extend(history);
        }
        for object in &self.0 {
            ensure!(found.contains(object), "lost or changed: {object:?}");
        }
        Ok(())
    }
}

/// Publishes one content after the other, each until it is acknowledged: what was written without an answer is the head then,
/// and no other.
async fn write(
    mut clients: Vec<Client>,
    stack: Reference,
    seen: watch::Sender<Seen>,
    over: watch::Receiver<bool>,
) -> Result<Vec<DeploymentObject>> {
    let mut acknowledged = Vec::new();
    while !*over.borrow() {
        let publish = Publish {
            manifests: config_map("a", &unique()),
            options: PublishOptions::default(),
        };
        loop {
            match clients[0].publish(&stack, &publish).await {
                Ok(published) => {
                    acknowledged.push(published.deployment_object);
                    seen.send_modify(|seen| seen.acknowledged += 1);
                    break;
                }
                Err(error) => {
                    is_forgivable(&error)?;
                    seen.send_modify(|seen| seen.refused += 1);
                    clients.rotate_left(1);
                    // Whoever comes again in the same instant learns nothing new.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
    Ok(acknowledged)
}

/// A broker may be gone, or say that it cannot at present, and when to come again; nothing else.
pub fn is_forgivable(error: &Error) -> Result<()> {
    match error {
        Error::Unreachable { cause, .. } => {
            ensure!(!cause.contains("timed out"), "nobody answered: {error:?}");
            Ok(())
        }
        Error::Refused(problem) if problem.code == Code::Unavailable => {
            ensure!(
                problem.status == 503 && problem.retry_after.is_some(),
                "it does not say when to come again: {problem:?}"
            );
            Ok(())
        }
        _ => bail!("another refusal than 503: {error:?}"),
    }
}
