//! Tells the broker what happened and how stacks are doing. What cannot be told now is told later.

mod fold;
mod outbox;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brokkr_client::Client;
use brokkr_core::StackId;
use brokkr_core::ambient::Ambient;
use brokkr_core::failpoint::Point;
use brokkr_core::wire::{Code, StackStatus};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::Monitor;
use crate::backoff::Backoff;
use crate::monitor::Stacks;
use fold::Folds;
use outbox::Outbox;

pub(crate) use fold::Happened;

const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_mins(1);
/// A report is given up after a minute.
const LONGEST_TURN: Duration = Duration::from_mins(5);

/// The one mouth of an agent.
pub(crate) struct Reporter {
    broker: Client,
    ambient: Arc<dyn Ambient>,
    unsaid: Arc<Mutex<Unsaid>>,
    monitor: Arc<Monitor>,
    /// One report at a time, so that they arrive in order.
    speaking: tokio::sync::Mutex<()>,
    news: Notify,
    afresh: Notify,
    is_hushed: AtomicBool,
}

#[derive(Default)]
pub(crate) struct Unsaid {
    outbox: Outbox,
    folds: Folds,
}

impl Unsaid {
    /// How many stacks are doing how, and how many events wait.
    pub(crate) fn counts(&self) -> (Stacks, usize) {
        (self.outbox.stacks(), self.outbox.waiting())
    }
}

impl Reporter {
    pub(crate) fn new(broker: Client, ambient: Arc<dyn Ambient>, monitor: Arc<Monitor>) -> Self {
        let unsaid = Arc::default();
        monitor.listen(&unsaid);
        Self {
            broker,
            ambient,
            unsaid,
            monitor,
            speaking: tokio::sync::Mutex::default(),
            news: Notify::new(),
            afresh: Notify::new(),
            is_hushed: AtomicBool::new(false),
        }
    }

    /// Notes how a stack is doing; said if it is different from what was said before.
    pub(crate) fn status(&self, status: StackStatus) {
        if self.unsaid().outbox.status(status) {
            Point::StatusNoted.reached();
            self.news.notify_one();
        }
    }

    /// Every stack is held from now on, those too that only the broker knows of.
    pub(crate) fn hold(&self, reason: String, told: Vec<StackStatus>) {
        let mut unsaid = self.unsaid();
        let mut is_news = unsaid.outbox.hold(Some(reason));
        for status in told {
            is_news |= unsaid.outbox.first_status(status);
        }
        if is_news {
            self.news.notify_one();
        }
    }

    /// Nothing is held as a whole any more.
    pub(crate) fn end_hold(&self) {
        if self.unsaid().outbox.hold(None) {
            self.news.notify_one();
        }
    }

    /// Another history is followed from now on, and nothing is known yet of how stacks are doing in it.
    pub(crate) fn begin_anew(&self) {
        self.unsaid().outbox.begin_anew();
    }

    /// Notes the outcome of an attempt.
    pub(crate) fn event(&self, stack: StackId, happened: Happened) {
        let mut unsaid = self.unsaid();
        let event = unsaid.folds.fold(stack, happened, &*self.ambient);
        let dropped = unsaid.outbox.event(event);
        drop(unsaid);
        self.monitor.figures.events_dropped.inc_by(dropped);
        Point::EventNoted.reached();
        self.news.notify_one();
    }

    /// Says every status again, because the broker may have missed some.
    pub(crate) fn say_all_again(&self) {
        self.unsaid().outbox.forget_what_was_said();
        self.news.notify_one();
        self.afresh.notify_one();
    }

    /// Says nothing more, or speaks again: nobody listens to an agent that was retired.
    pub(crate) fn hush(&self, is_hushed: bool) {
        self.is_hushed.store(is_hushed, Ordering::Relaxed);
    }

    pub(crate) fn is_hushed(&self) -> bool {
        self.is_hushed.load(Ordering::Relaxed)
    }

    /// Waits until everything is to be said again, which is so after the first connection too.
    pub(crate) async fn afresh(&self) {
        self.afresh.notified().await;
    }

    /// Lets go of what is remembered of a stack.
    pub(crate) fn forget(&self, stack: StackId) {
        let mut unsaid = self.unsaid();
        unsaid.outbox.forget(stack);
        unsaid.folds.forget(stack);
    }

    /// Says everything that is unsaid.
    pub(crate) async fn deliver(&self) -> Result<(), brokkr_client::Error> {
        let _turn = self.speaking.lock().await;
        if self.is_hushed() {
            return Ok(());
        }
        let pulse = self.monitor.loops.reports.begin();
        loop {
            pulse.within(LONGEST_TURN);
            let statuses = self.unsaid().outbox.statuses();
            if statuses.is_empty() {
                break;
            }
            Point::StatusSending.reached();
            self.broker.report_status(statuses.clone()).await?;
            Point::StatusSent.reached();
            self.unsaid().outbox.said_statuses(&statuses);
            Point::StatusSaid.reached();
        }
        loop {
            pulse.within(LONGEST_TURN);
            let events = self.unsaid().outbox.events();
            if events.is_empty() {
                return Ok(());
            }
            Point::EventSending.reached();
            match self.broker.report_events(events.clone()).await {
                Ok(()) => {
                    Point::EventSent.reached();
                    self.unsaid().outbox.said_events(&events);
                    Point::EventSaid.reached();
                }
                // One that the broker does not take must not hold up the others.
                Err(error) if is_about_content(&error) => {
                    tracing::warn!(%error, events = events.len(), "the broker does not take an event");
                    self.unsaid().outbox.refused(&events);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Says what is new, as soon as it is, until `shutdown`.
    pub(crate) async fn run(&self, shutdown: &CancellationToken) {
        let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
        while !shutdown.is_cancelled() {
            let delivered = tokio::select! {
                biased;
                delivered = self.deliver() => delivered,
                () = shutdown.cancelled() => return,
            };
            let pause = match delivered {
                Ok(()) => {
                    backoff.reset();
                    None
                }
                Err(error) => {
                    tracing::warn!(%error, "a report waits");
                    Some(backoff.next(&*self.ambient))
                }
            };
            let wake = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => self.news.notified().await,
                }
            };
            tokio::select! {
                biased;
                () = wake => {}
                () = shutdown.cancelled() => {}
            }
        }
    }

    fn unsaid(&self) -> MutexGuard<'_, Unsaid> {
        self.unsaid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the broker refused what was said, as opposed to who said it, or being unable to listen.
fn is_about_content(error: &brokkr_client::Error) -> bool {
    matches!(
        error.code(),
        Some(Code::Malformed | Code::Invalid | Code::NotFound | Code::TooLarge)
    )
}
