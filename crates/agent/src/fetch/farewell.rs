//! When an agent believes that it was retired, and lets go.

use std::time::Duration;

use brokkr_core::AgentId;
use brokkr_core::mutant::Mutant;
use tokio::time::Instant;

use crate::Error;

/// Two answers so far apart are two, and no echo of one.
const APART: Duration = Duration::from_secs(10);
/// What was heard longer ago counts no more.
const HOUR: Duration = Duration::from_hours(1);

/// What an agent was told of its own end.
#[derive(Default)]
pub(super) struct Farewell {
    /// Its id, once the broker has told it.
    me: Option<AgentId>,
    /// When it was first told that it was retired.
    first: Option<Instant>,
    has_let_go: bool,
}

/// What follows from a failed poll.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Consequence {
    /// It is a failure as any other.
    CarryOn,
    /// It is time to let go.
    LetGo,
    /// That was done before.
    StayAway,
}

impl Farewell {
    /// Between two questions of an agent that has let go.
    pub(super) const ASKING: Duration = HOUR;

    pub(super) const fn knows_itself(&self) -> bool {
        self.me.is_some()
    }

    pub(super) fn learn(&mut self, me: Option<AgentId>) {
        self.me = me.or(self.me);
    }

    /// The broker has answered with a state: all is as it was. Answers whether it was otherwise.
    pub(super) fn welcome(&mut self) -> bool {
        self.first = None;
        std::mem::take(&mut self.has_let_go)
    }

    /// Judges a failure. Only the broker's own word for this very agent counts, and only the second time within an hour.
    pub(super) fn hear(&mut self, error: &Error, now: Instant) -> Consequence {
        // Whoever is given a state again and cannot put it on record is not turned away: an hour would be too long.
        if self.has_let_go && matches!(error, Error::Broker(_)) {
            return Consequence::StayAway;
        }
        if !self.is_meant(error) {
            return Consequence::CarryOn;
        }
        let since = self.first.map(|first| now.duration_since(first));
        match since {
            Some(since) if since < APART => Consequence::CarryOn,
            Some(since) if since <= HOUR => {
                self.has_let_go = true;
                Consequence::LetGo
            }
            _ => {
                self.first = Some(now);
                Consequence::CarryOn
            }
        }
    }

    fn is_meant(&self, error: &Error) -> bool {
        let Error::Broker(error) = error else {
            return false;
        };
        if Mutant::AnyGoneLetsGo.is_on() {
            return match error {
                brokkr_client::Error::Refused(problem) => problem.status == 410,
                brokkr_client::Error::NotABroker { status } => *status == 410,
                _ => false,
            };
        }
        let retired = error.retired_agent();
        retired.is_some() && retired == self.me
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::ambient::System;
    use brokkr_core::wire::{Code, Problem};

    use super::*;

    fn gone(code: Code, agent: Option<AgentId>) -> Error {
        Error::Broker(brokkr_client::Error::Refused(Box::new(Problem {
            kind: String::new(),
            title: String::new(),
            status: 410,
            code,
            detail: String::new(),
            agent,
            pointer: None,
            document: None,
            line: None,
            column: None,
            retry_after: None,
            request_id: None,
        })))
    }

    /// What follows when this is heard at these seconds.
    fn heard(error: &Error, me: Option<AgentId>, at: &[u64]) -> Vec<Consequence> {
        let begin = Instant::now();
        let mut farewell = Farewell::default();
        farewell.learn(me);
        at.iter()
            .map(|at| farewell.hear(error, begin + Duration::from_secs(*at)))
            .collect()
    }

    #[test]
    fn only_the_own_name_counts_and_only_twice_within_an_hour() {
        use Consequence::{CarryOn, LetGo, StayAway};
        let [me, other] = [0; 2].map(|_| AgentId::generate(&System));
        let mine = gone(Code::AgentRetired, Some(me));
        let heard_so = |at: &[u64]| heard(&mine, Some(me), at);
        assert_eq!(
            heard_so(&[0, 1, 9, 10, 11]),
            [CarryOn, CarryOn, CarryOn, LetGo, StayAway]
        );
        assert_eq!(heard_so(&[0, 3_600]), [CarryOn, LetGo]);
        assert_eq!(
            heard_so(&[0, 3_601, 3_605, 7_000]),
            [CarryOn, CarryOn, CarryOn, LetGo]
        );
        for (error, me) in [
            (&mine, None),
            (&mine, Some(other)),
            (&gone(Code::AgentRetired, None), Some(me)),
            (&gone(Code::NotFound, Some(me)), Some(me)),
            (
                &Error::Broker(brokkr_client::Error::NotABroker { status: 410 }),
                Some(me),
            ),
        ] {
            assert_eq!(heard(error, me, &[0, 60, 120]), [CarryOn; 3], "{error}");
        }
    }

    #[test]
    fn who_was_welcomed_and_could_not_put_it_on_record_asks_again_soon() {
        let me = AgentId::generate(&System);
        let mine = gone(Code::AgentRetired, Some(me));
        let mut farewell = Farewell::default();
        farewell.learn(Some(me));
        let begin = Instant::now();
        farewell.hear(&mine, begin);
        let later = begin + APART;
        assert_eq!(farewell.hear(&mine, later), Consequence::LetGo);
        let own = Error::Records("somebody else changed the root record".to_owned());
        assert_eq!(farewell.hear(&own, later), Consequence::CarryOn);
        assert_eq!(farewell.hear(&mine, later), Consequence::StayAway);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_makes_it_all_forgotten() {
        let me = AgentId::generate(&System);
        let mine = gone(Code::AgentRetired, Some(me));
        let mut farewell = Farewell::default();
        farewell.learn(Some(me));
        farewell.hear(&mine, Instant::now());
        assert!(!farewell.welcome());
        tokio::time::advance(APART).await;
        assert_eq!(farewell.hear(&mine, Instant::now()), Consequence::CarryOn);
        tokio::time::advance(APART).await;
        assert_eq!(farewell.hear(&mine, Instant::now()), Consequence::LetGo);
        assert!(farewell.welcome() && !farewell.welcome());
    }
}
