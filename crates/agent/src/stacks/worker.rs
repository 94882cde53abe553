//! Follows the orders for one stack: attempts, waits, attempts again, and tells how it is doing.

mod announce;
mod content;
mod keep;
mod remove;
mod repairs;
mod rest;
mod tell;

use std::sync::Arc;
use std::time::Duration;

use brokkr_core::StackId;
use brokkr_core::failpoint::Point;
use brokkr_core::readiness::Readiness;
use brokkr_core::wire::{Action, Health, ObjectOutcome, StackStatus, Sync, TargetStack};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Workshop;
use super::order::Order;
use crate::brake::Brake;
use crate::cluster::MissingKind;
use crate::inventory::Touch;
use crate::reconcile::{Attempt, Ending, Stack};
use crate::watches::Inbox;
use brokkr_core::Backoff;
use repairs::Repairs;
use tell::Story;

const FIRST_RETRY: Duration = Duration::from_secs(1);
const FIRST_LOOK: Duration = Duration::from_millis(500);
/// Whoever looks at a status sees what became of its objects a few seconds ago.
const LONGEST_LOOK: Duration = Duration::from_secs(5);
/// What fails because the API server does is tried again at most so much later: nothing else says when that is over.
const LONGEST_TROUBLE: Duration = Duration::from_secs(20);
/// What is being deleted may take as long as it likes.
const LONGEST_PATIENCE: Duration = Duration::from_secs(15);

pub(super) struct Worker {
    stack: Stack,
    orders: watch::Receiver<Order>,
    workshop: Arc<Workshop>,
    shutdown: CancellationToken,
    story: Story,
    /// What changed in attempts that only had to wait.
    changes: Vec<ObjectOutcome>,
    /// Between attempts that fail.
    retry: Backoff,
    /// Between attempts that wait for something to go.
    patience: Backoff,
    /// Between looks at objects that are not as they should be.
    look: Backoff,
    /// What others do to the objects.
    inbox: Arc<Inbox>,
    repairs: Repairs,
}

/// What a worker waits for.
struct Pause {
    /// When the next attempt is due.
    attempt: Instant,
    /// When the objects are due to be looked at.
    look: Option<Instant>,
    /// The kinds with any of which the next attempt is worth it at once.
    missing: Vec<MissingKind>,
    /// Whether what others do to the objects matters.
    heeds_others: bool,
}

/// Why a worker stopped waiting.
enum Woken {
    Attempt,
    Look,
    /// Somebody did something to an object.
    Touched,
    /// There is another order, or the end is near.
    Order,
}

impl Worker {
    pub(super) fn new(
        stack: StackId,
        orders: watch::Receiver<Order>,
        workshop: Arc<Workshop>,
        shutdown: CancellationToken,
    ) -> Self {
        let current = orders.clone();
        let brake = Brake::when(move || !current.borrow().may_change());
        Self {
            stack: Stack::new(stack).under(brake),
            orders,
            shutdown,
            story: Story::new(stack),
            changes: Vec::new(),
            retry: Backoff::new(FIRST_RETRY, workshop.settings.retry_cap),
            patience: Backoff::new(FIRST_LOOK, LONGEST_PATIENCE),
            look: Backoff::new(FIRST_LOOK, LONGEST_LOOK),
            inbox: workshop.watches.inbox(stack),
            repairs: Repairs::new(workshop.settings.retry_cap),
            workshop,
        }
    }

    /// Works until there is nothing to do, or the end.
    pub(super) async fn run(mut self) {
        while !self.shutdown.is_cancelled() {
            let order = self.orders.borrow_and_update().clone();
            self.retry.reset();
            self.patience.reset();
            self.changes.clear();
            self.story.held = None;
            self.workshop.reconciler.reconsider(&self.stack);
            Point::OrderTaken.reached();
            match order {
                Order::Idle => return,
                Order::Apply(entry) => self.follow(&entry).await,
                Order::Remove(removal) => self.remove(&removal).await,
                Order::Keep(entry, held) => self.keep(&entry, &held).await,
                Order::Postpone(why) => self.postpone(why).await,
                Order::Rest(entry, paused) => self.rest(&entry, paused).await,
                Order::Hold(entry, reason) => self.hold(&entry, reason).await,
            }
        }
    }

    /// Brings an entry about and keeps it so, until there is another order.
    async fn follow(&mut self, entry: &TargetStack) {
        self.say(Some(entry.sequence), Sync::Applying, None);
        loop {
            let attempt = self.attempt(entry).await;
            let pause = self.conclude(entry, attempt).await;
            if !self.wait_until_due(pause).await {
                return;
            }
        }
    }

    /// Looks at the objects until the next attempt is due; answers whether it is, and there is no other order.
    async fn wait_until_due(&mut self, mut pause: Pause) -> bool {
        loop {
            match self.wait(&pause).await {
                Woken::Order => return false,
                Woken::Attempt => return true,
                Woken::Touched => self.heed(&mut pause),
                Woken::Look => {
                    pause.look = self.next_look().await;
                    self.report_status();
                }
            }
        }
    }

    async fn attempt(&mut self, entry: &TargetStack) -> Attempt {
        match self.content(entry).await {
            Ok(text) => {
                let reconciler = &self.workshop.reconciler;
                reconciler.apply(&mut self.stack, entry, &text).await
            }
            Err(error) => Attempt::error(&error),
        }
    }

    /// Tells what an attempt came to, together with how the objects are doing now: a new version is not
    /// said to be in place beside the health of the old one. Returns what to wait for.
    async fn conclude(&mut self, entry: &TargetStack, attempt: Attempt) -> Pause {
        self.count(Action::Apply, &attempt);
        let attempt = attempt.after(std::mem::take(&mut self.changes));
        self.announce(&entry.name, Action::Apply, &attempt);
        if attempt.has_changed() {
            self.look.reset();
        }
        self.follow_holdings().await;
        let look = self.next_look().await;
        self.tell_apply(entry, &attempt).await;
        self.story.heed(&attempt);
        let (sync, reason) = tell::said(&attempt.ending, Sync::Synced, Sync::Applying);
        self.say(Some(entry.sequence), sync, reason);
        let ambient = &*self.workshop.ambient;
        let missing = attempt.missing;
        let wait = match attempt.ending {
            Ending::Done | Ending::Held(_) => {
                self.retry.reset();
                self.patience.reset();
                self.workshop.settings.resync
            }
            Ending::Waiting(_) => {
                self.changes = attempt.objects;
                self.patience.next(ambient)
            }
            Ending::Failed(_) => self.next_try(attempt.is_in_trouble),
        };
        Pause {
            attempt: Instant::now() + wait,
            look,
            missing,
            heeds_others: true,
        }
    }

    /// How long to wait after an attempt that failed.
    fn next_try(&mut self, is_in_trouble: bool) -> Duration {
        let wait = self.retry.next(&*self.workshop.ambient);
        if is_in_trouble {
            wait.min(LONGEST_TROUBLE)
        } else {
            wait
        }
    }

    /// Watches what the stack owns by now.
    async fn follow_holdings(&self) {
        let workshop = &self.workshop;
        if let Some(holdings) = workshop.reconciler.holdings(&self.stack).await {
            workshop.watches.follow(self.stack.id(), holdings);
        }
    }

    /// Draws forward what is due for what others did to the objects.
    fn heed(&mut self, pause: &mut Pause) {
        let now = Instant::now();
        for (key, live) in self.inbox.take() {
            match self.stack.touch(&key, live.as_ref()) {
                Touch::Nothing => {}
                Touch::Life => {
                    let soon = now + FIRST_LOOK;
                    pause.look = Some(pause.look.map_or(soon, |look| look.min(soon)));
                }
                Touch::Drift => {
                    tracing::debug!(stack = %self.stack.id(), object = %key, "somebody changed it");
                    let due = self.repairs.due(key, now, &*self.workshop.ambient);
                    pause.attempt = pause.attempt.min(due);
                }
            }
        }
    }

    /// Looks at the objects; returns when to look again, if they are not as they should be.
    async fn next_look(&mut self) -> Option<Instant> {
        match self.workshop.reconciler.observe(&self.stack).await {
            Ok(None) => return None,
            Ok(Some(readiness)) => self.story.readiness = readiness,
            Err(error) => {
                self.story.readiness =
                    Readiness::unknown(format!("health cannot be seen: {error}"));
            }
        }
        let is_well = self.story.readiness.health == Health::Current;
        (!is_well).then(|| Instant::now() + self.look.next(&*self.workshop.ambient))
    }

    async fn hold(&mut self, entry: &TargetStack, reason: String) {
        self.tell_held(entry, &reason).await;
        self.say(Some(entry.sequence), Sync::Held, Some(reason));
        self.wait_for_order().await;
    }

    async fn wait(&mut self, pause: &Pause) -> Woken {
        let look = async {
            match pause.look {
                Some(look) => sleep_until(look).await,
                None => std::future::pending().await,
            }
        };
        let kind = async {
            match pause.missing.as_slice() {
                [] => std::future::pending().await,
                missing => self.workshop.reconciler.cluster.served(missing).await,
            }
        };
        tokio::select! {
           biased;
            () = self.shutdown.cancelled() => Woken::Order,
            Ok(()) = self.orders.changed() => Woken::Order,
            () = sleep_until(pause.attempt) => Woken::Attempt,
            () = kind => Woken::Attempt,
            () = self.inbox.rung(), if pause.heeds_others => Woken::Touched,
            () = look => Woken::Look,
        }
    }

    async fn wait_for_order(&mut self) {
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => {}
            Ok(()) = self.orders.changed() => {}
        }
    }

    fn say(&mut self, seen: Option<u64>, sync: Sync, reason: Option<String>) {
        self.story.seen = seen;
        self.story.sync = sync;
        self.story.reason = reason;
        self.report_status();
    }

    fn report_status(&mut self) {
        self.story.applied = self.stack.applied().or(self.story.applied);
        let status: StackStatus = self.story.status();
        self.workshop.reporter.status(status);
    }
}
