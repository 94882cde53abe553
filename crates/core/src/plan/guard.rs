//! How much may be lost before somebody is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::id::StackId;
use crate::mutant::Mutant;

/// So many objects may go, however few there are.
const FEW: usize = 5;
/// One in so many may go.
const ONE_IN: usize = 5;
/// For so long a loss counts after it was last tried.
pub const LOSS_WINDOW: Duration = Duration::from_mins(10);

/// What an agent lost unapproved in the last ten minutes, of all its stacks, and what it holds.
///
/// A loss that is held goes only when all that are held could go at once. Otherwise one change that takes away much
/// of everything would get through bit by bit, while nobody looks.
#[derive(Debug, Default)]
pub struct Guard {
    /// By the UIDs of the objects.
    passed: BTreeMap<String, Passed>,
    /// How many objects of a stack were held when it was judged last.
    held: BTreeMap<StackId, usize>,
}

#[derive(Clone, Copy, Debug)]
enum Passed {
    UnderWay,
    Ended(Instant),
}

/// What becomes of the unapproved loss of an attempt, the whole of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ruling {
    /// It may go, and counts from now on.
    Pass,
    /// It stays until somebody decides.
    Hold {
        /// How many others went in the last ten minutes.
        gone: usize,
        /// How many of other stacks are held, if this stack's were before.
        held: usize,
    },
}

impl Guard {
    /// Judges what an attempt would delete unapproved, by the UIDs. What passed before and is tried again counts
    /// once. `owned` is how many objects the agent owns, as far as it knows: of too small a number, less may go.
    pub fn judge(
        &mut self,
        stack: StackId,
        lost: &BTreeSet<String>,
        owned: usize,
        now: Instant,
    ) -> Ruling {
        self.passed.retain(|_, passed| passed.counts(now));
        let is_new = lost.iter().any(|uid| !self.passed.contains_key(uid));
        let gone = self.passed.keys().filter(|&uid| !lost.contains(uid));
        let (gone, held) = (gone.count(), self.held_beside(stack));
        if is_new && gone + held + lost.len() > most(owned) && !Mutant::GuardOff.is_on() {
            self.held.insert(stack, lost.len());
            return Ruling::Hold { gone, held };
        }
        self.held.remove(&stack);
        let passed = lost.iter().map(|uid| (uid.clone(), Passed::UnderWay));
        self.passed.extend(passed);
        Ruling::Pass
    }

    /// Notes that the attempt has ended whose loss passed.
    pub fn end(&mut self, lost: BTreeSet<String>, now: Instant) {
        let ended = lost.into_iter().map(|uid| (uid, Passed::Ended(now)));
        self.passed.extend(ended);
    }

    /// Forgets what a stack had held, because nobody asks for it any more.
    pub fn forget(&mut self, stack: StackId) {
        self.held.remove(&stack);
    }

    fn held_beside(&self, stack: StackId) -> usize {
        if !self.held.contains_key(&stack) {
            return 0;
        }
        let others = self.held.iter().filter(|(other, _)| **other != stack);
        others.map(|(_, count)| count).sum()
    }
}

impl Passed {
    fn counts(self, now: Instant) -> bool {
        match self {
            Self::UnderWay => true,
            Self::Ended(at) => now.saturating_duration_since(at) < LOSS_WINDOW,
        }
    }
}

/// How much may go of so many.
fn most(owned: usize) -> usize {
    FEW.max(owned / ONE_IN)
}

#[cfg(test)]
mod tests;
