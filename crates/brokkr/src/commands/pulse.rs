//! When to look again: as soon as the broker tells that something changed.

use std::time::Duration;

use brokkr_client::{Client, Watch, WatchFilter};
use tokio::time::{sleep, timeout};

/// A change often comes with others: they are looked at together.
const TOGETHER: Duration = Duration::from_millis(100);
/// A stream on which nothing came for so long may be dead without anybody having said so.
const SILENCE: Duration = Duration::from_mins(1);
const RETRY: Duration = Duration::from_secs(1);

/// Follows what changes, through restarts of the broker.
pub struct Pulse {
    client: Client,
    filter: WatchFilter,
    watch: Option<Watch>,
    cursor: Option<String>,
}

impl Pulse {
    pub fn new(client: &Client, filter: WatchFilter) -> Self {
        Self {
            client: client.clone(),
            filter,
            watch: None,
            cursor: None,
        }
    }

    /// Returns when something may have changed since the last time, and after `most` at the latest.
    pub async fn changed(&mut self, most: Duration) {
        // A broker that tells nothing is looked at every so often.
        if timeout(most, self.told()).await.is_ok() {
            while timeout(TOGETHER, self.told()).await.is_ok() {}
        }
    }

    /// Waits until something is told.
    async fn told(&mut self) {
        loop {
            match self.next().await {
                Ok(()) => return,
                Err(error) => {
                    tracing::debug!(%error, "the broker cannot be watched");
                    self.watch = None;
                    sleep(RETRY).await;
                }
            }
        }
    }

    async fn next(&mut self) -> Result<(), brokkr_client::Error> {
        let watch = match &mut self.watch {
            Some(watch) => watch,
            none => {
                let watch = self.client.watch(&self.filter, self.cursor.as_deref());
                none.insert(watch.await?)
            }
        };
        match timeout(SILENCE, watch.next()).await {
            Ok(told) => {
                told?;
                self.cursor = watch.cursor().map(str::to_owned);
            }
            Err(_) => self.watch = None,
        }
        Ok(())
    }
}
