use std::sync::Arc;
use std::time::Duration;

use brokkr_client::Client;
use brokkr_core::ambient::Ambient;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::facts::FactFinder;
use crate::fetch::Fetcher;
use crate::reconcile::Reconciler;
use crate::report::Reporter;
use crate::stacks::{Supervisor, Workshop};
use crate::{Error, Settings};

const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_mins(1);
/// How many contents are fetched at the same time.
const DOWNLOADS: usize = 8;
/// How long the last reports may take.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Runs an agent until `shutdown`, and then until the steps in hand are done, at most ten seconds.
///
/// # Errors
/// Only what waiting does not cure.
pub async fn run(
    settings: Settings,
    broker: Client,
    cluster: kube::Client,
    ambient: Arc<dyn Ambient>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let workshop = Arc::new(Workshop {
        reconciler: Reconciler::new(cluster, &settings, ambient.clone()),
        reporter: Reporter::new(broker.clone(), ambient.clone()),
        settings,
        broker,
        ambient,
        downloads: Semaphore::new(DOWNLOADS),
    });
    tokio::select! {
        biased;
        () = prepare(&workshop) => {}
        () = shutdown.cancelled() => return Ok(()),
    }
    let (accepted, states) = watch::channel(None);
    let fetcher = Fetcher {
        broker: &workshop.broker,
        records: &workshop.reconciler.records,
        reporter: &workshop.reporter,
        ambient: &*workshop.ambient,
        settings: &workshop.settings,
        accepted: &accepted,
    };
    let silence = CancellationToken::new();
    let work = async {
        let supervisor = Supervisor::new(workshop.clone(), shutdown.clone());
        tokio::join!(fetcher.run(&shutdown), supervisor.run(states));
        silence.cancel();
    };
    let facts = FactFinder::new(&workshop);
    tokio::join!(work, workshop.reporter.run(&silence), facts.run(&shutdown));
    // What cannot be said now is said after the next start, as far as it still holds.
    let _ = tokio::time::timeout(LAST_WORDS, workshop.reporter.deliver()).await;
    Ok(())
}

/// Waits for the API server. Without the root record nothing may be accepted, so nothing else begins.
async fn prepare(workshop: &Workshop) {
    let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
    while let Err(error) = workshop.reconciler.prepare().await {
        tracing::warn!(%error, "the cluster cannot be used yet");
        tokio::time::sleep(backoff.next(&*workshop.ambient)).await;
    }
}
