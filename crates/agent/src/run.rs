use std::sync::Arc;
use std::time::Duration;

use brokkr_client::Client;
use brokkr_core::ambient::Ambient;
use brokkr_core::cluster_uid::ClusterUid;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::announce::Announcer;
use crate::cluster::Tenure;
use crate::course::Course;
use crate::facts::FactFinder;
use crate::fetch::{Fetched, Fetcher};
use crate::lease::Lease;
use crate::reconcile::Reconciler;
use crate::report::Reporter;
use crate::requests::{Clerk, Requests};
use crate::session::Session;
use crate::stacks::{Supervisor, Workshop};
use crate::watches::Watches;
use crate::{Error, Settings};
use brokkr_core::Backoff;

const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_mins(1);
/// A term that lasted for so long was no quarrel about who acts for the agent.
const QUIET: Duration = Duration::from_mins(10);
/// How many contents are fetched at the same time.
const DOWNLOADS: usize = 8;
/// How long the last reports may take.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Runs an agent until `shutdown`, and then until the steps in hand are done, at most ten seconds. It acts in terms: each
/// begins with the lease, as after a start, and nothing of an earlier one survives but what lies in the cluster and the cache.
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
    let lease = Lease::new(cluster.clone(), &settings, ambient.clone());
    let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
    while let Some(mut held) = until(&shutdown, lease.take()).await {
        tracing::debug!("the lease is taken");
        let begun = Instant::now();
        let term = Term {
            settings: settings.clone(),
            broker: broker.clone(),
            cluster: cluster.clone(),
            ambient: ambient.clone(),
            tenure: held.tenure.clone(),
            ending: shutdown.child_token(),
        };
        let ending = term.ending.clone();
        let keep = async {
            lease.keep(&mut held).await;
            ending.cancel();
            std::future::pending().await
        };
        let ended = tokio::select! {
            biased;
            ended = Box::pin(term.serve()) => ended,
            ended = keep => ended,
        };
        lease.release(held).await;
        if ended == Ended::Superseded {
            tracing::error!(
                "another process uses this agent's key: stopped, and beginning anew; if it happens again, see who does: brokkr audit --action agent_session"
            );
            if begun.elapsed() > QUIET {
                backoff.reset();
            }
            until(&shutdown, sleep(backoff.next(&*ambient))).await;
        }
    }
    Ok(())
}

/// What a future comes to, unless the end comes before.
pub(crate) async fn until<T>(
    ending: &CancellationToken,
    future: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        () = ending.cancelled() => None,
        outcome = future => Some(outcome),
    }
}

/// The time from taking the lease to its end.
struct Term {
    settings: Settings,
    broker: Client,
    cluster: kube::Client,
    ambient: Arc<dyn Ambient>,
    tenure: Tenure,
    ending: CancellationToken,
}

/// Why a term ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ended {
    /// The agent stops, or the lease is lost.
    Over,
    /// The broker serves another process.
    Superseded,
}

impl Term {
    async fn serve(self) -> Ended {
        let Self {
            settings,
            broker,
            cluster,
            ambient,
            tenure,
            ending,
        } = self;
        let rehearsals = Reconciler::rehearsing(cluster.clone(), &settings, ambient.clone());
        let reconciler = Reconciler::during(&tenure, cluster, &settings, ambient.clone());
        let Some(uid) = until(&ending, prepare(&reconciler, &*ambient)).await else {
            return Ended::Over;
        };
        if let Some(accepted) = reconciler.records.root.accepted().await {
            settings.monitor.accepted(accepted.revision);
        }
        let owner = format!("{}/{}", uid.as_str(), settings.namespace);
        let cache = settings.cache.clone().owned_by(&owner).await;
        let session = Arc::new(Session::new(broker, uid));
        let watches = Watches::new(reconciler.cluster.clone(), ambient.clone());
        let announcer = Announcer::new(
            reconciler.cluster.clone(),
            settings.namespace.clone(),
            ambient.clone(),
        );
        let workshop = Arc::new(Workshop {
            announcer,
            watches: Arc::new(watches),
            reconciler,
            rehearsals,
            reporter: Reporter::open(
                session.clone(),
                cache.clone(),
                ambient.clone(),
                settings.monitor.clone(),
            )
            .await,
            settings: Settings { cache, ..settings },
            session,
            ambient,
            downloads: Semaphore::new(DOWNLOADS),
        });
        Box::pin(work(&workshop, &tenure, &ending)).await
    }
}

async fn work(workshop: &Arc<Workshop>, tenure: &Tenure, ending: &CancellationToken) -> Ended {
    let course = Course::new(&workshop.reconciler, &workshop.settings);
    let (requests, asked) = Requests::new(workshop.ambient.clone());
    let (nudge, nudges) = mpsc::channel(1);
    let fetcher = Fetcher {
        session: &workshop.session,
        course: &course,
        reporter: &workshop.reporter,
        requests: &requests,
        ambient: &*workshop.ambient,
        settings: &workshop.settings,
    };
    let fetch = async {
        let end = fetcher.run(ending).await;
        if end == Fetched::Superseded {
            tenure.end();
            ending.cancel();
        }
        end
    };
    let silence = CancellationToken::new();
    let work = async {
        let supervisor = Supervisor::new(workshop.clone(), ending.clone());
        let (end, _, ()) = tokio::join!(
            fetch,
            until(ending, course.recall()),
            supervisor.run(course.heading(), nudges)
        );
        silence.cancel();
        end
    };
    let facts = FactFinder::new(workshop);
    let clerk = Clerk::new(workshop, course.heading(), nudge);
    let (end, (), (), (), (), ()) = tokio::join!(
        work,
        Box::pin(workshop.announcer.run(ending)),
        workshop.reporter.run(&silence),
        facts.run(ending),
        workshop.watches.run(ending),
        clerk.run(asked, ending)
    );
    if end == Fetched::Superseded {
        return Ended::Superseded;
    }
    // What cannot be said now is said after the next start: events from the cache, and statuses as they are then.
    let _ = tokio::time::timeout(LAST_WORDS, workshop.reporter.deliver()).await;
    Ended::Over
}

/// Waits for the API server. Without the root record nothing may be accepted, so nothing else begins. Answers with what
/// identifies the cluster.
async fn prepare(reconciler: &Reconciler, ambient: &dyn Ambient) -> ClusterUid {
    let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
    loop {
        let prepared = async {
            reconciler.prepare().await?;
            reconciler.cluster.uid().await
        };
        match prepared.await {
            Ok(uid) => return uid,
            Err(error) => tracing::warn!(%error, "the cluster cannot be used yet"),
        }
        sleep(backoff.next(ambient)).await;
    }
}
