//! One task per stack, so that a broken one delays no other.

mod content;
mod order;
mod worker;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use brokkr_core::ambient::Ambient;
use brokkr_core::window::{Held, Standing, Windows};
use brokkr_core::wire::{TargetState, TargetWindow};
use brokkr_core::{Epoch, StackId};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::Settings;
use crate::announce::Announcer;
use crate::course::Heading;
use crate::reconcile::Reconciler;
use crate::report::Reporter;
use crate::session::Session;
use crate::watches::Watches;
use order::Order;
use worker::Worker;

/// What the workers of all stacks share.
pub(crate) struct Workshop {
    pub settings: Settings,
    pub session: Arc<Session>,
    pub reconciler: Reconciler,
    /// What only looks.
    pub rehearsals: Reconciler,
    pub reporter: Reporter,
    pub watches: Arc<Watches>,
    pub announcer: Announcer,
    pub ambient: Arc<dyn Ambient>,
    /// After a start all stacks want their content at once; the broker has other agents, too.
    pub downloads: Semaphore,
}

/// How long a worker that ended by a defect rests, which would else end at once again.
const REST: Duration = Duration::from_secs(10);

/// How long a window that closed or opened because somebody set the clock may go unnoticed.
const LOOK_AT_CLOCK: Duration = Duration::from_mins(1);

/// How long the steps in hand may take after the end was announced.
const LAST_STEPS: Duration = Duration::from_secs(8);

/// Asks the workers of these stacks to begin anew, as with a new order, and to try at once what they would try later.
pub(crate) struct Nudge {
    pub stacks: Vec<StackId>,
    /// Learns how many of them have something to do.
    pub begun: oneshot::Sender<u64>,
}

/// Hands out the orders of each accepted state.
pub(crate) struct Supervisor {
    workshop: Arc<Workshop>,
    shutdown: CancellationToken,
    orders: BTreeMap<StackId, watch::Sender<Order>>,
    workers: JoinSet<()>,
    stacks: HashMap<Id, StackId>,
    /// Whose orders these are.
    history: Option<Epoch>,
    /// When the windows are judged anew, if there are any.
    next_judgement: Option<Instant>,
}

impl Supervisor {
    pub(crate) fn new(workshop: Arc<Workshop>, shutdown: CancellationToken) -> Self {
        Self {
            workshop,
            shutdown,
            orders: BTreeMap::new(),
            workers: JoinSet::new(),
            stacks: HashMap::new(),
            history: None,
            next_judgement: None,
        }
    }

    /// Runs until the end is announced and the steps in hand are done.
    pub(crate) async fn run(
        mut self,
        mut heading: watch::Receiver<Heading>,
        mut nudges: mpsc::Receiver<Nudge>,
    ) {
        loop {
            let judgement = self.next_judgement;
            let judgement = async {
                match judgement {
                    Some(time) => sleep_until(time).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => break,
                Some(ended) = self.workers.join_next_with_id() => {
                    self.ended(&ended);
                    continue;
                }
                Ok(()) = heading.changed() => {}
                () = judgement => {}
                Some(nudge) = nudges.recv() => {
                    self.nudge(nudge);
                    continue;
                }
            }
            let current = heading.borrow_and_update().clone();
            match current {
                Heading::Unknown => {}
                Heading::Follow(state) => self.assign(&state),
                Heading::LetGo => self.rest(),
            }
        }
        let finish = async { while self.workers.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_STEPS, finish).await.is_err() {
            tracing::warn!(
                "some steps take too long to wait for: the next start goes on from there"
            );
            self.workers.shutdown().await;
        }
    }

    /// Gives every stack its order. A stack that the state does not name is left as it is.
    fn assign(&mut self, state: &TargetState) {
        let held = self.judge(&state.agent.windows);
        let mut orders = order::orders(state, held.as_ref());
        // The same sequence may mean another snapshot in another history: everybody looks again, and tells.
        let is_another = self.history.replace(state.epoch) != Some(state.epoch);
        for (stack, sender) in &self.orders {
            let named = orders.remove(stack);
            sender.send_if_modified(|current| {
                let order = named.unwrap_or_else(|| order::of_absence(current));
                let is_new = is_another || *current != order;
                *current = order;
                is_new
            });
        }
        for (stack, order) in orders {
            self.orders.insert(stack, watch::Sender::new(order));
            self.employ(stack, Duration::ZERO);
        }
    }

    /// What the windows hold, by the agent's clock; notes when to look at it again, which may be set meanwhile.
    fn judge(&mut self, windows: &[TargetWindow]) -> Option<Held> {
        let now = self.workshop.ambient.now();
        let (held, change) = match Windows::read(windows).at(now) {
            Standing::Open(change) => (None, change),
            Standing::Held(held) => {
                let until = held.until();
                (Some(held), until)
            }
        };
        let wait = change.and_then(|change| Duration::try_from(change.duration_since(now)).ok());
        let wait = wait.unwrap_or(LOOK_AT_CLOCK).min(LOOK_AT_CLOCK);
        self.next_judgement = (!windows.is_empty()).then(|| Instant::now() + wait);
        held
    }

    /// The same orders count as new ones, which end every wait.
    fn nudge(&self, nudge: Nudge) {
        let orders = nudge.stacks.iter().filter_map(|id| self.orders.get(id));
        let busy: Vec<_> = orders
            .filter(|order| *order.borrow() != Order::Idle)
            .collect();
        for order in &busy {
            order.send_modify(|_| {});
        }
        // Whoever asked may have given up.
        let _ = nudge.begun.send(busy.len() as u64);
    }

    /// Leaves every stack as it is.
    fn rest(&mut self) {
        self.next_judgement = None;
        for order in self.orders.values() {
            order.send_replace(Order::Idle);
        }
    }

    fn employ(&mut self, stack: StackId, rest: Duration) {
        let Some(sender) = self.orders.get(&stack) else {
            return;
        };
        let worker = Worker::new(
            stack,
            sender.subscribe(),
            self.workshop.clone(),
            self.shutdown.clone(),
        );
        let task = self.workers.spawn(async move {
            tokio::time::sleep(rest).await;
            worker.run().await;
        });
        self.stacks.insert(task.id(), stack);
    }

    /// A worker ends when it has nothing to do; one that ended while an order came in is replaced, and so is one
    /// that ended by a defect.
    fn ended(&mut self, ended: &Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        let Some(stack) = self.stacks.remove(&id) else {
            return;
        };
        let rest = match ended {
            Ok(_) => Duration::ZERO,
            Err(error) => {
                tracing::error!(%stack, %error, "a worker ended by a defect and is started anew");
                REST
            }
        };
        let is_idle = |sender: &watch::Sender<Order>| *sender.borrow() == Order::Idle;
        if self.orders.get(&stack).is_some_and(is_idle) {
            self.orders.remove(&stack);
            self.workshop.reporter.forget(stack);
            self.workshop.watches.forget(stack);
            self.workshop.reconciler.cluster.forget(stack);
        } else {
            self.employ(stack, rest);
        }
    }
}
