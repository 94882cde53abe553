//! What an agent shows of itself to those who run it: whether it is well, and figures. Who may ask, and how, is the
//! binary's affair.

mod figures;
mod pulse;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use prometheus_client::collector::Collector;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use crate::report::Outbox;
pub(crate) use figures::{Figures, Stacks, Watching};
pub(crate) use pulse::Pulse;

/// One for all parts of an agent, and for all its terms.
#[derive(Debug, Default)]
pub struct Monitor {
    pub(crate) figures: Figures,
    pub(crate) loops: Loops,
    state: Mutex<State>,
}

/// The loops that must turn, whatever the broker and the API server do.
#[derive(Debug)]
pub(crate) struct Loops {
    pub lease: Pulse,
    pub polls: Pulse,
    pub reports: Pulse,
}

#[derive(Debug, Default)]
struct State {
    standing: Standing,
    /// The revision that was accepted last.
    accepted: Option<u64>,
    /// When the broker answered a poll last, and whether it did the last one.
    answered: Option<Instant>,
    is_connected: bool,
    /// What the present term says of its stacks.
    outbox: Weak<Mutex<Outbox>>,
}

/// Where a process is in acting for its agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It does not act, and why.
    Outside(String),
    /// Another process acts.
    Waiting,
    /// It holds the lease.
    Acting,
    /// It holds the lease, and why that could not be renewed.
    Unsure(String),
}

impl Default for Standing {
    fn default() -> Self {
        Self::Outside("the API server was not asked yet".to_owned())
    }
}

impl Default for Loops {
    fn default() -> Self {
        Self {
            lease: Pulse::new("lease"),
            polls: Pulse::new("polls"),
            reports: Pulse::new("reports"),
        }
    }
}

impl Monitor {
    /// Lets the figures be read.
    pub fn register(self: &Arc<Self>, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("brokkr_agent");
        self.figures.register(registry);
        registry.register_collector(Box::new(self.clone()));
    }

    /// Whether the agent's loops turn.
    ///
    /// # Errors
    /// In words, which do not: another start may help.
    pub fn health(&self) -> Result<(), String> {
        let Loops {
            lease,
            polls,
            reports,
        } = &self.loops;
        let stuck = [lease, polls, reports].into_iter().find_map(Pulse::stuck);
        stuck.map_or(Ok(()), Err)
    }

    /// Whether the agent keeps its cluster as it should be, or stands by to do so. Whether its broker is there does not
    /// matter: it repairs what it accepted last.
    ///
    /// # Errors
    /// In words, why not yet.
    pub fn readiness(&self) -> Result<&'static str, String> {
        let state = self.state();
        match (&state.standing, state.accepted) {
            (Standing::Outside(why) | Standing::Unsure(why), _) => {
                Err(format!("the lease is not certain: {why}"))
            }
            (Standing::Waiting, _) => Ok("another process acts for this agent"),
            (Standing::Acting, None) => Err("no target state was accepted yet".to_owned()),
            (Standing::Acting, Some(_)) => Ok("ok"),
        }
    }

    pub(crate) fn stands(&self, standing: Standing) {
        self.state().standing = standing;
    }

    pub(crate) fn accepted(&self, revision: u64) {
        self.state().accepted = Some(revision);
    }

    pub(crate) fn answered(&self) {
        let mut state = self.state();
        state.answered = Some(Instant::now());
        state.is_connected = true;
    }

    pub(crate) fn unanswered(&self) {
        self.state().is_connected = false;
    }

    /// How stacks are doing is as this one says it from now on.
    pub(crate) fn listen(&self, outbox: &Arc<Mutex<Outbox>>) {
        self.state().outbox = Arc::downgrade(outbox);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Monitor {
    fn encode(
        &self,
        mut encoder: prometheus_client::encoding::DescriptorEncoder,
    ) -> Result<(), std::fmt::Error> {
        let state = self.state();
        let is_held = matches!(state.standing, Standing::Acting | Standing::Unsure(_));
        let outbox = state.outbox.upgrade();
        let answered = state.answered;
        let (is_connected, accepted) = (state.is_connected, state.accepted);
        drop(state);
        let stacks = outbox.map_or_else(Stacks::new, |outbox| {
            let outbox = outbox.lock().unwrap_or_else(PoisonError::into_inner);
            outbox.stacks()
        });
        figures::gauge(
            &mut encoder,
            "lease_held",
            "Whether this process acts for its agent",
            u64::from(is_held),
        )?;
        figures::gauge(
            &mut encoder,
            "broker_connected",
            "Whether the broker answered the last poll",
            u64::from(is_connected),
        )?;
        figures::gauge(
            &mut encoder,
            "broker_answer_age_seconds",
            "How long ago the broker answered a poll; an unchanged poll may wait for 55 s, and before the first answer it is -1",
            answered.map_or(-1.0, |at| at.elapsed().as_secs_f64()),
        )?;
        figures::gauge(
            &mut encoder,
            "accepted_revision",
            "The revision of the target state that was accepted last; 0 before the first one",
            accepted.unwrap_or_default(),
        )?;
        figures::stacks(&mut encoder, &stacks)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_is_ready_when_it_acts_or_stands_by_whatever_the_broker_does() {
        let monitor = Monitor::default();
        assert!(monitor.readiness().is_err());
        monitor.stands(Standing::Waiting);
        assert!(monitor.readiness().is_ok());
        monitor.stands(Standing::Acting);
        assert!(monitor.readiness().is_err(), "nothing was accepted");
        monitor.accepted(7);
        monitor.unanswered();
        assert_eq!(monitor.readiness(), Ok("ok"));
        monitor.stands(Standing::Unsure("no answer in 10 s".to_owned()));
        let why = monitor.readiness().unwrap_err();
        assert!(why.contains("no answer in 10 s"), "{why}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_does_not_turn_is_found() {
        let monitor = Monitor::default();
        assert_eq!(monitor.health(), Ok(()));
        let polls = monitor.loops.polls.begin();
        polls.within(Duration::from_mins(1));
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(monitor.health(), Ok(()));
        polls.within(Duration::from_mins(1));
        tokio::time::advance(Duration::from_secs(75)).await;
        let why = monitor.health().unwrap_err();
        assert!(why.contains("polls") && why.contains("15 s"), "{why}");
        drop(polls);
        assert_eq!(monitor.health(), Ok(()), "one that has ended is not stuck");
    }
}
