//! One process at a time acts for an agent in a cluster: the one that holds its Lease.
//!
//! Clocks of two machines are never compared. Another's lease is over when it has not changed for its whole duration
//! since this process saw it first, by this process's own clock.

mod record;

use std::sync::Arc;
use std::time::Duration;

use brokkr_core::ambient::Ambient;
use brokkr_core::failpoint::Point;
use tokio::time::{Instant, sleep, timeout};

use crate::cluster::{Cluster, Moment, Tenure};
use crate::monitor::Standing;
use crate::{Error, Monitor, Settings};
use brokkr_core::Backoff;
use record::{Record, Shelf};

pub(crate) use record::{NAME, micro_time};

const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_mins(1);
/// How often a lease is renewed, in parts of it. A request of its own may take as long.
const PARTS: u32 = 9;
/// The least time between looks at another's lease.
const LEAST_LOOK: Duration = Duration::from_millis(200);
/// What a loaded machine may add to a turn, and the longest rest after an error.
const GRACE: Duration = Duration::from_mins(2);
/// How long letting go may take.
const LAST_WORD: Duration = Duration::from_secs(3);

/// The lease of an agent, as one of its processes sees it.
pub(crate) struct Lease {
    shelf: Shelf,
    /// What this process is called in it.
    holder: String,
    duration: Duration,
    monitor: Arc<Monitor>,
    ambient: Arc<dyn Ambient>,
}

/// A lease that this process holds.
pub(crate) struct Held {
    pub tenure: Tenure,
    record: Record,
}

/// What was seen of a lease that somebody else holds.
struct Sight {
    version: String,
    since: Instant,
}

impl Lease {
    pub(crate) fn new(
        client: kube::Client,
        settings: &Settings,
        ambient: Arc<dyn Ambient>,
    ) -> Self {
        let mut random = [0; 8];
        ambient.fill(&mut random);
        let duration = settings.lease.max(Settings::SHORTEST_LEASE);
        // On a line of its own: requests of stacks that hang must not keep a renewal waiting.
        let cluster = Cluster::new(client, 1, ambient.clone())
            .patient_for(duration / PARTS)
            .counting_in(&settings.monitor);
        Self {
            shelf: Shelf::new(cluster, settings.namespace.clone()),
            holder: format!("{:016x}", u64::from_be_bytes(random)),
            duration,
            monitor: settings.monitor.clone(),
            ambient,
        }
    }

    /// Waits until no other process holds it, and takes it.
    pub(crate) async fn take(&self) -> Held {
        let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
        let mut sight = None;
        let mut is_said = false;
        let pulse = self.monitor.loops.lease.begin();
        loop {
            pulse.within(self.duration + GRACE);
            let pause = match self.try_to_take(&mut sight).await {
                Ok(Ok(held)) => {
                    self.monitor.stands(Standing::Acting);
                    return held;
                }
                Ok(Err(holder)) => {
                    self.monitor.stands(Standing::Waiting);
                    if !std::mem::replace(&mut is_said, true) {
                        let namespace = self.shelf.namespace();
                        tracing::info!(
                            %holder,
                            "another process acts for this agent: waiting until it ends, or gives up the lease {namespace}/{}", record::NAME
                        );
                    }
                    backoff.reset();
                    self.look()
                }
                Err(error) => {
                    tracing::warn!(%error, "the agent's lease cannot be taken yet");
                    self.monitor.stands(Standing::Outside(error.to_string()));
                    backoff.next(&*self.ambient)
                }
            };
            sleep(pause).await;
        }
    }

    fn look(&self) -> Duration {
        (self.duration / PARTS).max(LEAST_LOOK)
    }

    /// Takes it, or says who holds it.
    async fn try_to_take(&self, sight: &mut Option<Sight>) -> Result<Result<Held, String>, Error> {
        let found = self.shelf.find().await?;
        if let Some(record) = &found
            && let Some(holder) = record.holder()
            && holder != self.holder
            && !is_over(record, sight)
        {
            return Ok(Err(holder.to_owned()));
        }
        Point::LeaseFree.reached();
        let mut record = found.unwrap_or_else(|| self.shelf.blank());
        let taken = Moment::now(&*self.ambient);
        record.take(&self.holder, self.duration, self.ambient.now());
        match self.shelf.put(&record).await {
            Ok(record) => {
                Point::LeaseTaken.reached();
                Ok(Ok(Held {
                    tenure: Tenure::new(self.duration, taken, self.ambient.clone()),
                    record,
                }))
            }
            // Somebody was faster, who is looked at next.
            Err(error) if error.is_conflict() => Ok(Err("somebody who was faster".to_owned())),
            Err(error) => Err(error),
        }
    }

    /// Renews it until it is lost.
    pub(crate) async fn keep(&self, held: &mut Held) {
        let part = self.duration / PARTS;
        let mut pause = part;
        let pulse = self.monitor.loops.lease.begin();
        while !held.tenure.is_over() {
            pulse.within(self.duration + GRACE);
            sleep(pause).await;
            pause = part;
            match self.renew(held).await {
                Ok(true) => self.monitor.stands(Standing::Acting),
                Ok(false) => {
                    tracing::warn!("the agent's lease was taken over or taken away");
                    break;
                }
                Err(error) => {
                    tracing::warn!(%error, "the agent's lease could not be renewed");
                    self.monitor.stands(Standing::Unsure(error.to_string()));
                    pause = part / 4;
                }
            }
        }
        held.tenure.end();
        self.monitor
            .stands(Standing::Outside("it was lost".to_owned()));
        tracing::warn!("the agent's lease is lost: nothing is written until it is taken again");
    }

    /// Whether it is still ours.
    async fn renew(&self, held: &mut Held) -> Result<bool, Error> {
        let sent = Moment::now(&*self.ambient);
        held.record.renew(self.ambient.now());
        match self.shelf.put(&held.record).await {
            Ok(record) => {
                held.record = record;
                held.tenure.renewed(sent);
                Point::LeaseRenewed.reached();
                return Ok(true);
            }
            Err(error) if !error.is_conflict() && !error.is_not_found() => return Err(error),
            _ => {}
        }
        // The answer to an earlier renewal may have been lost on its way.
        match self.shelf.find().await? {
            Some(record) if record.holder() == Some(&self.holder) => {
                held.record = record;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Lets go of it, so that another process need not wait. Nothing may be written any more.
    pub(crate) async fn release(&self, held: Held) {
        held.tenure.end();
        self.monitor
            .stands(Standing::Outside("it was given up".to_owned()));
        Point::LeaseReleasing.reached();
        if !matches!(
            timeout(LAST_WORD, self.let_go(held.record)).await,
            Ok(Ok(()))
        ) {
            tracing::warn!(
                "the agent's lease could not be given up: the next process waits for its end"
            );
        }
        Point::LeaseReleased.reached();
    }

    async fn let_go(&self, mut record: Record) -> Result<(), Error> {
        record.release(self.ambient.now());
        match self.shelf.put(&record).await {
            Err(error) if error.is_conflict() => {}
            answer => return answer.map(drop),
        }
        // A renewal may have been under way, unless somebody else has it by now.
        match self.shelf.find().await? {
            Some(mut record) if record.holder() == Some(&self.holder) => {
                record.release(self.ambient.now());
                self.shelf.put(&record).await.map(drop)
            }
            _ => Ok(()),
        }
    }
}

/// Whether a lease has stayed the same for its whole duration.
fn is_over(record: &Record, sight: &mut Option<Sight>) -> bool {
    match sight {
        Some(sight) if sight.version == record.version() => {
            sight.since.elapsed() > record.duration()
        }
        _ => {
            *sight = Some(Sight {
                version: record.version().to_owned(),
                since: Instant::now(),
            });
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another's lease in one of its states; its times say whatever that machine's clock says.
    fn record(version: &str) -> Record {
        let mut record = Record::of_version(version);
        record.take("another", Duration::from_secs(9), jiff::Timestamp::MIN);
        record
    }

    #[tokio::test(start_paused = true)]
    async fn anothers_lease_is_over_when_it_stayed_the_same_for_all_its_time() {
        let mut sight = None;
        assert!(!is_over(&record("1"), &mut sight));
        tokio::time::advance(Duration::from_secs(8)).await;
        // Renewed: all its time begins anew.
        assert!(!is_over(&record("2"), &mut sight));
        tokio::time::advance(Duration::from_secs(9)).await;
        assert!(!is_over(&record("2"), &mut sight));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(is_over(&record("2"), &mut sight));
    }
}
