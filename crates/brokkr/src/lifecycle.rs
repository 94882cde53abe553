//! From start to end of a process that serves: the first signal asks its tasks to finish what they
//! have begun, the second one or 20 s end them where they are.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::signals::Signals;

/// How long tasks may take to finish.
const PATIENCE: Duration = Duration::from_secs(20);

/// The tasks of a process.
pub struct Lifecycle {
    tasks: JoinSet<anyhow::Result<()>>,
    shutdown: CancellationToken,
    signals: Signals,
}

impl Lifecycle {
    /// Listens to signals from here on.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self {
            tasks: JoinSet::new(),
            shutdown: CancellationToken::new(),
            signals: Signals::listen()?,
        })
    }

    /// Is cancelled when tasks should finish.
    pub fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Runs a task until it ends or the process does. It must end when the token is cancelled.
    pub fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.tasks
            .spawn(async move { task.await.with_context(|| format!("the {name} has ended")) });
    }

    /// Holds the process until a signal, or until a task ends by itself, which none should.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let outcome = tokio::select! {
            () = self.signals.next() => {
                tracing::info!("finishing; a second signal ends at once");
                Ok(())
            }
            Some(ended) = self.tasks.join_next() => Err(match ended {
                Ok(Ok(())) => anyhow!("a part of the process has ended by itself"),
                Ok(Err(error)) => error,
                Err(crash) => anyhow!(crash).context("a part of the process has crashed"),
            }),
        };
        self.shutdown.cancel();
        let finished = self.finish().await;
        // What ended the process tells more than how the rest of it ended.
        outcome.and(finished)
    }

    async fn finish(&mut self) -> anyhow::Result<()> {
        let tasks = &mut self.tasks;
        let all = async {
            while let Some(ended) = tasks.join_next().await {
                ended.context("a part of the process has crashed")??;
            }
            anyhow::Ok(())
        };
        tokio::select! {
            () = self.signals.next() => bail!("ended before it was finished, by a second signal"),
            finished = timeout(PATIENCE, all) => finished.unwrap_or_else(|_| {
                bail!("ended before it was finished, after {} s", PATIENCE.as_secs())
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_rest_finishes_when_one_part_ends_by_itself() {
        let mut lifecycle = Lifecycle::new().unwrap();
        let shutdown = lifecycle.shutdown();
        let seen = shutdown.clone();
        lifecycle.spawn("one that stays", async move {
            shutdown.cancelled().await;
            Ok(())
        });
        lifecycle.spawn("agent", async { bail!("the disk is full") });
        let error = format!("{:#}", lifecycle.run().await.unwrap_err());
        assert_eq!(error, "the agent has ended: the disk is full");
        assert!(seen.is_cancelled());
    }

    #[tokio::test]
    async fn an_end_without_reason_is_a_failure_too() {
        let mut lifecycle = Lifecycle::new().unwrap();
        lifecycle.spawn("broker", async { Ok(()) });
        assert!(lifecycle.run().await.is_err());
    }
}
