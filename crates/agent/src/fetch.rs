//! Asks the broker for the target state and decides whether to act upon the answer.
//!
//! Whatever goes wrong here means: carry on with what was accepted last.

mod accept;
mod farewell;

use std::time::Duration;

use brokkr_client::Poll;
use brokkr_core::Epoch;
use brokkr_core::ambient::Ambient;
use brokkr_core::failpoint::Point;
use brokkr_core::mutant::Mutant;
use brokkr_core::wire::{Health, MAX_WAIT_SECONDS, StackStatus, Sync, TargetState};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::course::Course;
use crate::report::Reporter;
use crate::requests::Requests;
use crate::run::until;
use crate::session::{Session, is_superseded, is_turned_away};
use crate::{Error, Settings};
use accept::Judgement;
use brokkr_core::Backoff;
use farewell::{Consequence, Farewell};

const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_mins(1);
/// A poll that was cut after so long had begun to wait: some proxy ended it, which is no failure.
const BEGAN_TO_WAIT: Duration = Duration::from_secs(5);
/// The least time from one poll to the next when nothing is new, whatever the other side does.
const LEAST_INTERVAL: Duration = Duration::from_secs(1);
/// A poll waits for a minute at most, and to put its answer on record may take as long, each with its tries.
const LONGEST_TURN: Duration = Duration::from_mins(5);

pub(crate) struct Fetcher<'a> {
    pub session: &'a Session,
    pub course: &'a Course<'a>,
    pub reporter: &'a Reporter,
    pub requests: &'a Requests,
    pub ambient: &'a dyn Ambient,
    pub settings: &'a Settings,
}

/// Why polling ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fetched {
    /// It was to end.
    Told,
    /// Another process acts for the agent.
    Superseded,
}

/// How a poll ended.
enum Polled {
    New,
    Unchanged,
    /// The answer is not acted upon.
    Dropped,
}

impl Fetcher<'_> {
    /// Opens the session and polls, until `shutdown` or until the broker serves another process.
    pub(crate) async fn run(&self, shutdown: &CancellationToken) -> Fetched {
        if until(shutdown, self.open()).await.is_none() {
            return Fetched::Told;
        }
        let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
        let mut etag = None;
        let mut is_connected = false;
        let mut farewell = Farewell::default();
        let monitor = &self.settings.monitor;
        let pulse = monitor.loops.polls.begin();
        while !shutdown.is_cancelled() {
            let begun = Instant::now();
            pulse.within(LONGEST_TURN);
            let Some(polled) = until(shutdown, self.poll(&mut etag)).await else {
                break;
            };
            if polled.is_ok() {
                monitor.answered();
            }
            if polled.is_ok() && farewell.welcome() {
                tracing::info!("the broker has answered again: going on");
                self.reporter.hush(false);
            }
            if polled.is_ok() && !std::mem::replace(&mut is_connected, true) {
                tracing::info!("connected to the broker");
                self.reporter.say_all_again();
            }
            if polled.is_ok() {
                self.learn(&mut farewell).await;
            }
            let pause = match polled {
                Ok(polled) => {
                    backoff.reset();
                    self.pause_after(&polled, begun.elapsed())
                }
                Err(Error::Broker(brokkr_client::Error::Unreachable { .. }))
                    if is_connected && begun.elapsed() > BEGAN_TO_WAIT =>
                {
                    LEAST_INTERVAL
                }
                Err(error) if is_superseded(&error) => return Fetched::Superseded,
                Err(error) => {
                    is_connected = false;
                    monitor.unanswered();
                    match farewell.hear(&error, Instant::now()) {
                        Consequence::CarryOn => {
                            tracing::warn!(%error, "no target state: carrying on with the last one");
                            backoff.next_after(error.retry_after(), self.ambient)
                        }
                        Consequence::LetGo => {
                            tracing::error!(%error, "this agent was retired: nothing is changed and nothing deleted any more");
                            etag = None;
                            self.let_go(&mut backoff).await
                        }
                        Consequence::StayAway => {
                            tracing::info!(%error, "this agent was retired");
                            self.let_go(&mut backoff).await
                        }
                    }
                }
            };
            pulse.within(pause + LONGEST_TURN);
            until(shutdown, sleep(pause)).await;
        }
        Fetched::Told
    }

    /// Opens the session. An agent that is turned away does nothing else than ask again: somebody may rebind it.
    async fn open(&self) {
        let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
        while let Err(error) = self.session.open().await {
            if !is_turned_away(&error) {
                tracing::warn!(%error, "no session with the broker yet");
            } else if let Err(unnoted) = self.course.let_go().await {
                tracing::error!(%error, %unnoted, "nothing is done in this cluster, which is not on record yet");
            } else {
                tracing::error!(%error, "nothing is done in this cluster");
            }
            sleep(backoff.next_after(error.retry_after(), self.ambient)).await;
        }
    }

    /// Asks who this agent is, which it must know to believe that it was retired.
    async fn learn(&self, farewell: &mut Farewell) {
        if farewell.knows_itself() {
            return;
        }
        match self.session.opened().await.me().await {
            Ok(me) => farewell.learn(me.id.map(Into::into)),
            Err(error) => tracing::debug!(%error, "the broker does not say who this is"),
        }
    }

    /// Lets go and falls silent; answers when to ask again.
    async fn let_go(&self, backoff: &mut Backoff) -> Duration {
        self.reporter.hush(true);
        match self.course.let_go().await {
            Ok(()) => Farewell::ASKING,
            Err(error) => {
                tracing::warn!(%error, "that this agent was retired is not on record yet");
                backoff.next(self.ambient)
            }
        }
    }

    /// One poll. An answer that is not acted upon does not become what the next poll compares with.
    async fn poll(&self, etag: &mut Option<String>) -> Result<Polled, Error> {
        let Settings { wait, interval, .. } = *self.settings;
        let wait = wait.min(Duration::from_secs(MAX_WAIT_SECONDS));
        let next = interval.max(wait);
        let session = self.session.broker()?;
        let broker = match self.course.accepted().await {
            Some(accepted) if !Mutant::TokenKept.is_on() => {
                session.returning(accepted.epoch, &accepted.state_token)
            }
            _ => session.clone(),
        };
        let broker = broker.holding(&self.requests.in_hand());
        match broker.target_state(etag.as_deref(), wait, next).await? {
            Poll::Changed { etag: new, state } if etag.as_ref() != Some(&new) => {
                Point::StateReceived.reached();
                if !self.accept(&state).await? {
                    return Ok(Polled::Dropped);
                }
                self.requests.take(&state.requests);
                self.course.follow(state).await;
                *etag = Some(new);
                Ok(Polled::New)
            }
            // It is asked something, or somebody on the way lost the question's `If-None-Match`.
            Poll::Changed { state, .. } => {
                self.requests.take(&state.requests);
                self.reporter.end_hold();
                Ok(Polled::Unchanged)
            }
            Poll::Unchanged => {
                self.reporter.end_hold();
                Ok(Polled::Unchanged)
            }
        }
    }

    /// Judges a state; one that is accepted is on record before anybody acts upon it.
    async fn accept(&self, state: &TargetState) -> Result<bool, Error> {
        let before = self.course.accepted().await;
        match accept::judge(before.as_ref(), state) {
            Judgement::Accept => {
                Point::StateJudged.reached();
                self.course.record(state).await?;
                if before.is_none_or(|before| before.epoch == state.epoch) {
                    self.reporter.end_hold();
                } else {
                    self.reporter.begin_anew();
                }
                tracing::debug!(revision = state.revision, "target state accepted");
                Ok(true)
            }
            Judgement::Older { accepted } => {
                tracing::info!(
                    accepted,
                    received = state.revision,
                    "an older target state is dropped"
                );
                self.reporter.end_hold();
                Ok(false)
            }
            Judgement::OtherHistory { accepted } => {
                tracing::error!(
                    %accepted,
                    received = %state.epoch,
                    "the broker's history is another one: nothing new is taken, and nothing deleted; if that broker is the right one, `brokkr epochs accept` what was accepted here"
                );
                self.say_held(accepted, state);
                Ok(false)
            }
        }
    }

    /// Tells the broker why nothing of what it says is done, so that its users need not guess.
    fn say_held(&self, accepted: Epoch, state: &TargetState) {
        let reason = format!(
            "nothing new is taken: the broker has another history (its database was replaced or restored); if it is the right one: brokkr epochs accept {accepted}"
        );
        let told = state.stacks.iter().map(|entry| StackStatus {
            stack: entry.stack,
            seen: Some(entry.sequence),
            applied: None,
            sync: Sync::Pending,
            health: Health::Unknown,
            reason: None,
            held: None,
        });
        self.reporter.hold(reason, told.collect());
    }

    fn pause_after(&self, polled: &Polled, took: Duration) -> Duration {
        let waits = !self.settings.wait.is_zero();
        match polled {
            Polled::New if waits => Duration::ZERO,
            Polled::Unchanged if waits => LEAST_INTERVAL.saturating_sub(took),
            Polled::New | Polled::Unchanged | Polled::Dropped => self.settings.interval,
        }
    }
}
