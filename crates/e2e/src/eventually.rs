use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use tokio::time::{Instant, sleep, timeout_at};

/// How long a condition may take that is expected within seconds: slow machines pass, hangs do not.
pub const PATIENCE: Duration = Duration::from_mins(1);

const PAUSE: Duration = Duration::from_millis(50);

/// Looks again and again until `look` succeeds; its errors say what it saw instead.
pub async fn eventually<T>(
    what: &str,
    deadline: Duration,
    mut look: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let end = Instant::now() + deadline;
    let mut last = anyhow!("nothing was seen at all");
    loop {
        match timeout_at(end, look()).await {
            Ok(Ok(seen)) => return Ok(seen),
            Ok(Err(state)) => last = state,
            Err(_) => bail!(
                "{what}: not within {deadline:?}; the last look took too long; before it: {last:#}"
            ),
        }
        if Instant::now() >= end {
            bail!("{what}: not within {deadline:?}; last: {last:#}");
        }
        sleep(PAUSE).await;
    }
}

/// Looks until `end` says that it is over; `look` must succeed each time, and once more afterwards.
pub async fn hold(
    what: &str,
    deadline: Duration,
    mut over: impl AsyncFnMut() -> Result<()>,
    mut look: impl AsyncFnMut() -> Result<()>,
) -> Result<()> {
    let broken = |state: anyhow::Error| state.context(format!("{what}: it did not hold"));
    eventually(what, deadline, async || match look().await {
        Ok(()) => over().await.map(Ok),
        Err(state) => Ok(Err(state)),
    })
    .await?
    .map_err(broken)?;
    look().await.map_err(broken)
}
