//! Tells the broker what happened and how stacks are doing. What cannot be told now is told later.

mod fold;
mod outbox;
mod spool;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brokkr_core::StackId;
use brokkr_core::ambient::Ambient;
use brokkr_core::failpoint::Point;
use brokkr_core::wire::{Code, StackStatus};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::cache::Cache;
use crate::run::until;
use crate::session::Session;
use crate::{Error, Monitor};
use brokkr_core::Backoff;
use fold::Folds;
use spool::Spool;

pub(crate) use fold::Happened;
pub(crate) use outbox::Outbox;

const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_mins(1);
/// A report is given up after a minute.
const LONGEST_TURN: Duration = Duration::from_mins(5);

/// The one mouth of an agent.
pub(crate) struct Reporter {
    session: Arc<Session>,
    ambient: Arc<dyn Ambient>,
    outbox: Arc<Mutex<Outbox>>,
    folds: Mutex<Folds>,
    spool: tokio::sync::Mutex<Spool>,
    monitor: Arc<Monitor>,
    /// One report at a time, so that they arrive in order; after one that the broker was too busy for, none before this.
    speaking: tokio::sync::Mutex<Option<Instant>>,
    news: Notify,
    afresh: Notify,
    is_hushed: AtomicBool,
}

impl Reporter {
    /// Begins with the events in the cache, which could not be said before.
    pub(crate) async fn open(
        session: Arc<Session>,
        cache: Cache,
        ambient: Arc<dyn Ambient>,
        monitor: Arc<Monitor>,
    ) -> Self {
        let outbox = Arc::default();
        monitor.listen(&outbox);
        let spool = Spool::open(cache, monitor.figures.clone()).await;
        Self {
            session,
            ambient,
            outbox,
            folds: Mutex::default(),
            spool: tokio::sync::Mutex::new(spool),
            monitor,
            speaking: tokio::sync::Mutex::default(),
            news: Notify::new(),
            afresh: Notify::new(),
            is_hushed: AtomicBool::new(false),
        }
    }

    /// Notes how a stack is doing; said if it is different from what was said before.
    pub(crate) fn status(&self, status: StackStatus) {
        if self.outbox().status(status) {
            Point::StatusNoted.reached();
            self.news.notify_one();
        }
    }

    /// Every stack is held from now on, those too that only the broker knows of.
    pub(crate) fn hold(&self, reason: String, told: Vec<StackStatus>) {
        let mut outbox = self.outbox();
        let mut is_news = outbox.hold(Some(reason));
        for status in told {
            is_news |= outbox.first_status(status);
        }
        if is_news {
            self.news.notify_one();
        }
    }

    /// Nothing is held as a whole any more.
    pub(crate) fn end_hold(&self) {
        if self.outbox().hold(None) {
            self.news.notify_one();
        }
    }

    /// Another history is followed from now on, and nothing is known yet of how stacks are doing in it.
    pub(crate) fn begin_anew(&self) {
        self.outbox().begin_anew();
    }

    /// Notes the outcome of an attempt.
    pub(crate) async fn event(&self, stack: StackId, happened: Happened) {
        let event = self.folds().fold(stack, happened, &*self.ambient);
        self.spool.lock().await.put(event, &*self.ambient).await;
        Point::EventNoted.reached();
        self.news.notify_one();
    }

    /// Says every status again, because the broker may have missed some.
    pub(crate) fn say_all_again(&self) {
        self.outbox().forget_what_was_said();
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
        self.outbox().forget(stack);
        self.folds().forget(stack);
    }

    /// Says everything that is unsaid, as soon as the broker wants to hear it.
    pub(crate) async fn deliver(&self) -> Result<(), Error> {
        let mut wanted = self.speaking.lock().await;
        if let Some(wanted) = *wanted {
            sleep_until(wanted).await;
        }
        let told = self.tell().await;
        let asked = told.as_ref().err().and_then(Error::retry_after);
        *wanted = asked.map(|asked| Instant::now() + asked.min(LONGEST_DELAY));
        told
    }

    async fn tell(&self) -> Result<(), Error> {
        if self.is_hushed() {
            return Ok(());
        }
        let pulse = self.monitor.loops.reports.begin();
        let broker = self.session.broker()?;
        loop {
            pulse.within(LONGEST_TURN);
            let statuses = self.outbox().statuses();
            if statuses.is_empty() {
                break;
            }
            Point::StatusSending.reached();
            broker.report_status(statuses.clone()).await?;
            Point::StatusSent.reached();
            self.outbox().said_statuses(&statuses);
            Point::StatusSaid.reached();
        }
        loop {
            pulse.within(LONGEST_TURN);
            let events = self.spool.lock().await.batch().await;
            if events.is_empty() {
                return Ok(());
            }
            Point::EventSending.reached();
            match broker.report_events(events.clone()).await {
                Ok(()) => {
                    Point::EventSent.reached();
                    self.spool.lock().await.said(&events).await;
                    Point::EventSaid.reached();
                }
                // One that the broker does not take must not hold up the others.
                Err(error) if is_about_content(&error) => {
                    tracing::warn!(%error, events = events.len(), "the broker does not take an event");
                    self.spool.lock().await.refused(&events).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Says what is new, as soon as it is and there is a session, until `shutdown`.
    pub(crate) async fn run(&self, shutdown: &CancellationToken) {
        if until(shutdown, self.session.opened()).await.is_none() {
            return;
        }
        let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
        while !shutdown.is_cancelled() {
            let Some(delivered) = until(shutdown, self.deliver()).await else {
                return;
            };
            let pause = match delivered {
                Ok(()) => {
                    backoff.reset();
                    None
                }
                Err(error) => {
                    tracing::warn!(%error, "a report waits");
                    Some(backoff.next_after(error.retry_after(), &*self.ambient))
                }
            };
            let wake = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => self.news.notified().await,
                }
            };
            until(shutdown, wake).await;
        }
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folds(&self) -> MutexGuard<'_, Folds> {
        self.folds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the broker refused what was said, as opposed to who said it, or being unable to listen.
fn is_about_content(error: &brokkr_client::Error) -> bool {
    matches!(
        error.code(),
        Some(Code::Malformed | Code::Invalid | Code::NotFound | Code::TooLarge)
    )
}
