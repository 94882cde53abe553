//! The copies of the agent that are there at the same time: which of them live, which are stopped for a while as by
//! SIGSTOP, and which one holds the lease in truth.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Poll, Waker};
use std::time::Duration;

use brokkr_agent::Cache;
use tokio::time::Instant;

use super::api::{Answer, Ask};
use super::object::Place;
use super::records::RECORDS;
use super::world::{Shared, World};

#[derive(Default)]
pub struct Copies {
    last: u64,
    alive: BTreeSet<u64>,
    stopped: BTreeMap<u64, Stopped>,
    lease: Option<Lease>,
    pub deaths: u64,
    pub rivals: u64,
    pub stops: u64,
}

/// What stands still in a copy that is stopped. Its other tasks go on, so that they find themselves in a process whose
/// keeper of the lease has noticed nothing.
struct Stopped {
    /// Also what is on its way to the cluster and the broker.
    is_cut_off: bool,
    waker: Option<Waker>,
}

/// The lease as the API server last took it.
#[derive(Clone, Copy)]
struct Lease {
    life: u64,
    until: Instant,
}

/// The moment at which a request left the agent.
pub struct Asked {
    is_held: bool,
    stops: u64,
}

impl Copies {
    pub fn begins(&mut self) -> u64 {
        self.last += 1;
        self.alive.insert(self.last);
        self.last
    }

    pub fn dies(&mut self, life: u64) {
        self.alive.remove(&life);
        self.stopped.remove(&life);
        self.deaths += 1;
    }

    pub fn is_alive(&self, life: u64) -> bool {
        self.alive.contains(&life)
    }

    pub fn is_cut_off(&self, life: u64) -> bool {
        let stopped = self.stopped.get(&life);
        stopped.is_some_and(|stopped| stopped.is_cut_off)
    }

    pub fn thaw(&mut self, life: u64) {
        let waker = self.stopped.remove(&life).and_then(|stopped| stopped.waker);
        waker.into_iter().for_each(Waker::wake);
    }

    pub fn thaw_all(&mut self) {
        for life in self.alive.clone() {
            self.thaw(life);
        }
    }

    pub fn asks(&self, life: u64) -> Asked {
        Asked {
            is_held: self.holds(life),
            stops: self.stops,
        }
    }

    pub fn holds(&self, life: u64) -> bool {
        let lease = self.lease.filter(|lease| lease.life == life);
        lease.is_some_and(|lease| Instant::now() < lease.until)
    }

    /// Whether a copy held the lease when a request left it, and still does. One that was stopped with a request
    /// already under way could not help it.
    pub fn holds_since(&self, life: u64, asked: &Asked) -> bool {
        asked.is_held && (self.holds(life) || asked.stops != self.stops)
    }

    pub fn heard_of_lease(&mut self, life: u64, ask: &Ask, answer: &Answer) {
        if !ask.is_about_lease() || ask.method == "GET" || answer.status >= 300 {
            return;
        }
        let spec = &ask.body["spec"];
        let seconds = spec["leaseDurationSeconds"].as_u64().unwrap_or_default();
        let is_taken = spec["holderIdentity"].as_str() != Some("");
        self.lease = is_taken.then(|| Lease {
            life,
            until: Instant::now() + Duration::from_secs(seconds),
        });
    }
}

impl Ask {
    pub fn is_about_lease(&self) -> bool {
        self.path.contains("/leases")
    }
}

impl World {
    /// Somebody who knows that the holder is dead takes the lease away at times, and nobody has to wait for its end.
    pub fn free_lease(&mut self) {
        if self.chance(850) {
            self.note("the lease of the dead copy is taken away");
            self.api.drop_object(&Place {
                api_version: "coordination.k8s.io/v1".to_owned(),
                plural: "leases".to_owned(),
                namespace: Some(RECORDS.to_owned()),
                name: "brokkr-agent".to_owned(),
            });
            self.copies.lease = None;
        }
    }

    /// The disk of the machine on which a copy runs: two run on one after the other, so that the next one finds an old one.
    pub fn disk_of(&self, life: u64) -> Cache {
        let is_second = life / 2 % 2 == 1;
        self.disks[usize::from(is_second)].clone()
    }

    /// Stops a copy at times, for as long as it happens to be.
    pub fn stop_some(&mut self) {
        for life in self.copies.alive.clone() {
            if self.copies.stopped.contains_key(&life) {
                if self.chance(400) {
                    self.note(format!("copy {life} goes on"));
                    self.copies.thaw(life);
                }
            } else if self.chance(80) {
                let is_cut_off = self.random.bool();
                self.note(format!("copy {life} is stopped; cut off: {is_cut_off}"));
                let waker = None;
                let stopped = Stopped { is_cut_off, waker };
                self.copies.stopped.insert(life, stopped);
                self.copies.stops += 1;
            }
        }
    }
}

/// Runs a copy, which stands still while it is stopped.
pub async fn stopping<T>(
    shared: Shared,
    life: u64,
    mut run: Pin<Box<impl Future<Output = T>>>,
) -> T {
    poll_fn(|context| {
        if let Some(stopped) = shared.world().copies.stopped.get_mut(&life) {
            stopped.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        run.as_mut().poll(context)
    })
    .await
}
