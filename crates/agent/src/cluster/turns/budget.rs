use std::time::Duration;

use tokio::time::Instant;

/// So much of what was not used may be made up for.
const BURST: Duration = Duration::from_millis(100);

/// When requests may be sent: so many a second, and none while the server asked to stay away.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    /// The time that a request takes up; none if there is no bound.
    each: Duration,
    /// Up to when it is used up.
    used: Instant,
    rests_until: Instant,
}

impl Budget {
    pub(super) fn without_bound(now: Instant) -> Self {
        Self {
            each: Duration::ZERO,
            used: now,
            rests_until: now,
        }
    }

    pub(super) fn set_rate(&mut self, per_second: u32) {
        self.each = Duration::from_secs(1) / per_second.max(1);
    }

    /// Takes one request out of it; returns when that may be sent.
    pub(super) fn take(&mut self, now: Instant) -> Instant {
        let due = self.used.checked_sub(BURST).unwrap_or(now);
        self.used = self.used.max(now) + self.each;
        due.max(self.rests_until).max(now)
    }

    /// Whether what was taken for this time may still be sent then.
    pub(super) fn stands(&self, due: Instant) -> bool {
        self.rests_until <= due
    }

    /// Nothing is sent until then.
    pub(super) fn rest(&mut self, until: Instant) {
        self.rests_until = self.rests_until.max(until);
        self.used = self.used.max(until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends as soon as it may, each as soon as the one before; returns when, in milliseconds.
    fn sent(budget: &mut Budget, begun: Instant, count: usize) -> Vec<u128> {
        let mut now = begun;
        (0..count)
            .map(|_| {
                now = budget.take(now);
                (now - begun).as_millis()
            })
            .collect()
    }

    #[test]
    fn a_second_sees_no_more_than_the_rate_and_a_burst() {
        let begun = Instant::now();
        for rate in [1, 7, 100, 3_000] {
            let mut budget = Budget::without_bound(begun);
            budget.set_rate(rate);
            let sent = sent(&mut budget, begun, 10_000);
            for (number, first) in sent.iter().enumerate() {
                let within = sent[number..].iter().take_while(|at| **at < first + 1_000);
                let most = rate as usize + rate as usize / 10 + 2;
                assert!(within.count() <= most, "{rate} a second");
            }
            let last = sent.last().expect("some");
            let fair = 10_000_000 / u128::from(rate);
            assert!(*last <= fair && *last + 1_100 >= fair, "{rate}: {last}");
        }
    }

    #[test]
    fn without_a_bound_nothing_waits() {
        let begun = Instant::now();
        let mut budget = Budget::without_bound(begun);
        assert!(sent(&mut budget, begun, 1_000).iter().all(|at| *at == 0));
    }

    #[test]
    fn nothing_is_sent_while_it_rests_and_the_rate_holds_afterwards() {
        let begun = Instant::now();
        let after = |milliseconds| begun + Duration::from_millis(milliseconds);
        let mut budget = Budget::without_bound(begun);
        budget.set_rate(10);
        let due = budget.take(begun);
        assert!(due == begun && budget.stands(due));
        budget.rest(after(5_000));
        // A shorter rest takes nothing back.
        budget.rest(after(1_000));
        assert!(!budget.stands(due));
        let sent = sent(&mut budget, begun, 4);
        assert_eq!(sent, [5_000, 5_000, 5_100, 5_200]);
        assert!(budget.stands(after(5_000)));
    }
}
