use tokio::time::Instant;

/// How many requests may be under way at the same time: one more with answers that come in time, half as many after a
/// refusal, and one alone after an answer that is late.
#[derive(Clone, Debug)]
pub(super) struct Limit {
    size: usize,
    most: usize,
    /// Up to here it grows with every answer, and from here on with as many answers as it is large.
    steady: usize,
    answers: usize,
    shrunk: Option<Instant>,
}

impl Limit {
    pub(super) const fn new(size: usize, most: usize) -> Self {
        Self {
            size: if size < most { size } else { most },
            most,
            steady: most,
            answers: 0,
            shrunk: None,
        }
    }

    pub(super) const fn size(&self) -> usize {
        self.size
    }

    /// A request was answered in time.
    pub(super) fn answered(&mut self) {
        self.answers += 1;
        if self.size < self.steady || self.answers >= self.size {
            self.size = (self.size + 1).min(self.most);
            self.answers = 0;
        }
    }

    /// A request that was sent at this time was refused, because the server has too much to do. All that were under way
    /// together were refused for the same reason, which counts once.
    pub(super) fn refused(&mut self, sent: Instant, now: Instant) {
        if self.shrunk.is_none_or(|shrunk| sent >= shrunk) {
            self.shrink_to((self.size / 2).max(1), now);
        }
    }

    /// A request is not answered in time.
    pub(super) fn late(&mut self, now: Instant) {
        if self.size > 1 {
            self.shrink_to(1, now);
        }
    }

    fn shrink_to(&mut self, size: usize, now: Instant) {
        self.steady = (self.size / 2).max(1);
        self.size = size;
        self.answers = 0;
        self.shrunk = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[derive(Clone, Copy)]
    enum Came {
        Answers(usize),
        /// Refusals of requests that were sent since the one before, and some that were under way then.
        Refusals(usize),
        Late,
    }
    use Came::{Answers, Late, Refusals};

    #[test]
    fn grows_by_answers_and_shrinks_by_what_comes_instead() {
        let cases: [(&[Came], usize); 12] = [
            (&[], 4),
            (&[Answers(1)], 5),
            (&[Answers(12)], 16),
            (&[Answers(1_000)], 24),
            (&[Refusals(1)], 2),
            (&[Answers(12), Refusals(16)], 8),
            (&[Answers(12), Refusals(16), Refusals(8)], 4),
            // Above half of what was too much it takes a whole round for one more.
            (&[Answers(12), Refusals(1), Answers(7)], 8),
            (&[Answers(12), Refusals(1), Answers(8 + 9)], 10),
            (&[Answers(12), Late], 1),
            (&[Answers(12), Late, Answers(7)], 8),
            (&[Refusals(1), Refusals(1), Refusals(1), Refusals(1)], 1),
        ];
        for (number, (came, size)) in cases.into_iter().enumerate() {
            let mut limit = Limit::new(4, 24);
            let mut now = Instant::now();
            for came in came {
                let sent = now;
                now += Duration::from_millis(10);
                match came {
                    Answers(count) => (0..*count).for_each(|_| limit.answered()),
                    Refusals(count) => (0..*count).for_each(|_| limit.refused(sent, now)),
                    Late => limit.late(now),
                }
            }
            assert_eq!(limit.size(), size, "case {number}");
        }
    }

    #[test]
    fn never_leaves_its_bounds() {
        for most in 1..40 {
            let mut limit = Limit::new(4, most);
            let mut now = Instant::now();
            for step in 0_u64..10_000 {
                now += Duration::from_millis(1);
                match step * 7_919 % 13 {
                    0 => limit.refused(now, now),
                    1 => limit.late(now),
                    _ => limit.answered(),
                }
                assert!((1..=most).contains(&limit.size()), "{limit:?}");
            }
        }
    }
}
