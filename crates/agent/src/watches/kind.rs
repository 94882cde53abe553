//! One kind: watched in the whole cluster, or, where that is not allowed, in each namespace that has something.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::{Namespaces, WatchedKind, Watches};
use crate::Error;
use crate::cluster::Seen;
use brokkr_core::Backoff;

const FIRST_DELAY: Duration = Duration::from_secs(1);
/// Until then the next comparison is as soon.
const LONGEST_DELAY: Duration = Duration::from_mins(1);
/// Rights change seldom.
const REFUSED_DELAY: Duration = Duration::from_mins(5);
/// A watch that lasted for so long was a good one.
const GOOD: Duration = Duration::from_secs(30);

pub(super) async fn follow(
    watches: Arc<Watches>,
    kind: WatchedKind,
    mut namespaces: watch::Receiver<Namespaces>,
) {
    loop {
        let refusal = follow_one(&watches, &kind, None).await;
        tracing::info!(
            kind = %kind.kind, group = %kind.group, error = %refusal,
            "the kind may not be watched in the whole cluster: it is watched in each namespace"
        );
        let again = sleep(REFUSED_DELAY);
        tokio::pin!(again);
        loop {
            let current = namespaces.borrow_and_update().clone();
            let each = current.iter().flatten().map(async |namespace| {
                let refusal = follow_one(&watches, &kind, Some(namespace)).await;
                tracing::warn!(
                    kind = %kind.kind, group = %kind.group, namespace, error = %refusal,
                    "the kind may not be watched: what others do to its objects is found by the next comparison"
                );
                std::future::pending::<()>().await;
            });
            let all = async {
                join_all(each).await;
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = all => {}
                () = &mut again => break,
                Ok(()) = namespaces.changed() => {}
            }
        }
    }
}

/// Follows the kind for as long as that is allowed; returns the refusal.
async fn follow_one(watches: &Watches, kind: &WatchedKind, namespace: Option<&str>) -> Error {
    let mut seen = Seen::default();
    let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
    loop {
        let begun = Instant::now();
        let tell = |sighting| watches.tell(kind, sighting);
        let followed = watches
            .cluster
            .follow(&kind.resource, namespace, &mut seen, &tell)
            .await;
        match followed {
            Err(error) if error.is_forbidden() => return error,
            Err(error) => {
                tracing::debug!(kind = %kind.kind, %error, "a watch ended");
            }
            Ok(()) => {}
        }
        watches.cluster.monitor.figures.watch_restarts.inc();
        if begun.elapsed() > GOOD {
            backoff.reset();
        }
        sleep(backoff.next(&*watches.ambient)).await;
    }
}
