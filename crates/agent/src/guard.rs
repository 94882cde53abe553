//! What all stacks of this process lost lately and own, for [`brokkr_core::plan::Guard`] to judge by. It lies in
//! memory: after a restart nothing was lost, and only what was read again is owned.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use brokkr_core::StackId;
use brokkr_core::plan::{Guard, Ruling};
use tokio::time::Instant;

/// The one gate through which all unapproved losses go.
#[derive(Default)]
pub(crate) struct Gate(Mutex<State>);

#[derive(Default)]
struct State {
    guard: Guard,
    owned: BTreeMap<StackId, usize>,
}

/// A loss that may go; it counts as under way until this is dropped.
pub(crate) struct Passage<'a> {
    gate: &'a Gate,
    lost: BTreeSet<String>,
}

/// Why a loss may not go.
pub(crate) struct Barred {
    /// How many others went lately.
    pub gone: usize,
    /// How many of other stacks are held beside it.
    pub held: usize,
    /// How many objects the agent owns.
    pub owned: usize,
}

impl Gate {
    /// Notes how many objects a stack owns.
    pub(crate) fn owns(&self, stack: StackId, objects: usize) {
        self.state().owned.insert(stack, objects);
    }

    /// Judges what a stack that owns so many objects would lose unapproved.
    pub(crate) fn judge(
        &self,
        stack: StackId,
        owns: usize,
        lost: BTreeSet<String>,
    ) -> Result<Passage<'_>, Barred> {
        let mut state = self.state();
        state.owned.insert(stack, owns);
        let owned = state.owned.values().sum();
        let now = Instant::now().into_std();
        match state.guard.judge(stack, &lost, owned, now) {
            Ruling::Pass => Ok(Passage { gate: self, lost }),
            Ruling::Hold { gone, held } => Err(Barred { gone, held, owned }),
        }
    }

    /// A stack that is let go of, or taken out, owns and loses nothing.
    pub(crate) fn forget(&self, stack: StackId) {
        let mut state = self.state();
        state.owned.remove(&stack);
        state.guard.forget(stack);
    }

    /// What a stack would lose is not known any more.
    pub(crate) fn reconsider(&self, stack: StackId) {
        self.state().guard.forget(stack);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Passage<'_> {
    pub(crate) fn covers(&self, uid: &str) -> bool {
        self.lost.contains(uid)
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        let lost = std::mem::take(&mut self.lost);
        let now = Instant::now().into_std();
        self.gate.state().guard.end(lost, now);
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::ambient::System;

    use super::*;

    #[test]
    fn what_was_held_under_another_order_holds_up_nobody() {
        let gate = Gate::default();
        let (first, second) = (StackId::generate(&System), StackId::generate(&System));
        let objects = |of: &str| (0..7).map(|n| format!("{of}-{n}")).collect::<BTreeSet<_>>();
        gate.owns(first, 15);
        assert!(gate.judge(first, 15, objects("first")).is_err());
        assert!(gate.judge(second, 15, objects("second")).is_err());
        // A fifth of what there is by now would be enough for one of them, but not for both.
        let barred = gate.judge(second, 25, objects("second")).err();
        assert_eq!(
            barred.map(|barred| (barred.gone, barred.held)),
            Some((0, 7))
        );
        gate.reconsider(first);
        assert!(gate.judge(second, 25, objects("second")).is_ok());
    }
}
