use std::collections::VecDeque;

use brokkr_core::wire::Hint;
use uuid::Uuid;

use crate::store::broker::Progress;
use crate::writer::Lane;

/// So many hints are held for who comes back: 3 MB.
const HELD: usize = 32_768;

/// A hint, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) hint: Hint,
    /// Which of the two counters its version is of.
    pub(crate) lane: Lane,
    /// The owner of the stack that it is about; none if it is about no stack, or about one that is forgotten.
    pub(crate) owner: Option<Uuid>,
}

/// The newest hints, in the order in which this replica learned of them.
#[derive(Debug)]
pub(super) struct Ring {
    /// Everything later than this, up to `upto`, is in here.
    from: Progress,
    upto: Progress,
    told: VecDeque<Told>,
    /// How many have been let go.
    gone: u64,
}

/// How far a reader is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place(u64);

impl Ring {
    pub(super) const fn new(upto: Progress) -> Self {
        Self {
            from: upto,
            upto,
            told: VecDeque::new(),
            gone: 0,
        }
    }

    pub(super) const fn upto(&self) -> Progress {
        self.upto
    }

    /// Takes in what is new up to a place; each lane in the order of its versions.
    pub(super) fn extend(&mut self, upto: Progress, told: impl IntoIterator<Item = Told>) {
        self.told.extend(told);
        self.upto = upto;
        for gone in self.told.drain(..self.told.len().saturating_sub(HELD)) {
            let from = match gone.lane {
                Lane::Desired => &mut self.from.revision,
                Lane::Ingest => &mut self.from.ingest,
            };
            *from = gone.hint.version;
            self.gone += 1;
        }
    }

    /// Lets everything go: what happened up to a place is not told to anybody. Readers notice.
    pub(super) fn restart(&mut self, upto: Progress) {
        self.gone += self.told.len() as u64 + 1;
        self.told.clear();
        (self.from, self.upto) = (upto, upto);
    }

    /// Where the next hint will be.
    pub(super) fn end(&self) -> Place {
        Place(self.gone + self.told.len() as u64)
    }

    /// The hints after a place; nothing if some of them are gone.
    pub(super) fn after(&self, place: Place) -> Option<Vec<Told>> {
        let skipped = usize::try_from(place.0.checked_sub(self.gone)?).ok()?;
        Some(self.told.iter().skip(skipped).copied().collect())
    }

    /// The hints that somebody has not seen who has seen so much; nothing if some of them are gone, or were never here.
    pub(super) fn unseen(&self, seen: Progress) -> Option<Vec<Told>> {
        let is_within = |seen, from, upto| from <= seen && seen <= upto;
        let is_here = is_within(seen.revision, self.from.revision, self.upto.revision)
            && is_within(seen.ingest, self.from.ingest, self.upto.ingest);
        let is_unseen = move |told: &&Told| match told.lane {
            Lane::Desired => told.hint.version > seen.revision,
            Lane::Ingest => told.hint.version > seen.ingest,
        };
        is_here.then(|| self.told.iter().filter(is_unseen).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::wire::About;

    use super::*;

    const fn at(revision: u64, ingest: u64) -> Progress {
        Progress { revision, ingest }
    }

    fn told(lane: Lane, version: u64) -> Told {
        Told {
            hint: Hint {
                about: About::Fleet,
                version,
            },
            lane,
            owner: None,
        }
    }

    fn versions(told: Option<Vec<Told>>) -> Option<Vec<u64>> {
        told.map(|told| told.iter().map(|told| told.hint.version).collect())
    }

    #[test]
    fn who_comes_back_gets_what_was_missed_by_either_counter() {
        let mut ring = Ring::new(at(10, 100));
        let news = [
            (Lane::Desired, 11),
            (Lane::Ingest, 101),
            (Lane::Ingest, 103),
        ];
        ring.extend(at(11, 103), news.map(|(lane, version)| told(lane, version)));
        for (seen, unseen) in [
            (at(10, 100), Some(vec![11, 101, 103])),
            (at(11, 100), Some(vec![101, 103])),
            (at(10, 102), Some(vec![11, 103])),
            (at(11, 103), Some(vec![])),
            (at(9, 103), None),
            (at(11, 99), None),
            (at(12, 103), None),
            (at(11, 104), None),
        ] {
            assert_eq!(versions(ring.unseen(seen)), unseen, "{seen:?}");
        }
    }

    #[test]
    fn who_reads_on_misses_nothing_or_notices() {
        let mut ring = Ring::new(at(0, 0));
        let place = ring.end();
        assert_eq!(versions(ring.after(place)), Some(vec![]));
        ring.extend(at(2, 0), [told(Lane::Desired, 1), told(Lane::Desired, 2)]);
        assert_eq!(versions(ring.after(place)), Some(vec![1, 2]));
        let later = ring.end();
        assert_eq!(versions(ring.after(later)), Some(vec![]));
        let held = u64::try_from(HELD).expect("a number");
        ring.extend(at(2, held), (1..=held).map(|n| told(Lane::Ingest, n)));
        assert_eq!(versions(ring.after(place)), None);
        assert_eq!(versions(ring.after(later)).map(|all| all.len()), Some(HELD));
        assert_eq!(versions(ring.unseen(at(1, 0))), None);
        assert!(ring.unseen(at(2, 0)).is_some());
        ring.restart(at(3, held));
        assert_eq!(versions(ring.after(later)), None);
        assert_eq!(versions(ring.unseen(at(2, held))), None);
        assert_eq!(versions(ring.after(ring.end())), Some(vec![]));
        assert_eq!(versions(ring.unseen(at(3, held))), Some(vec![]));
    }
}
