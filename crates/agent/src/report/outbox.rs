//! How stacks are doing, as far as it is to be said.

use std::collections::{BTreeMap, BTreeSet};

use brokkr_core::StackId;
use brokkr_core::wire::{StackStatus, Sync};

use crate::monitor::Stacks;

/// The most statuses in a report.
const STATUSES: usize = 500;
/// A report of statuses ends when it has so many bytes, since they may list what is held: a broker reads 1 MiB.
const STATUS_BYTES: usize = 900 * 1024;

#[derive(Default)]
pub(crate) struct Outbox {
    statuses: BTreeMap<StackId, StackStatus>,
    /// Why every stack is held, if the broker's history is not the one that the agent follows.
    holds: Option<String>,
    unsaid: BTreeSet<StackId>,
}

impl Outbox {
    /// Notes a status; whether it is news.
    pub(super) fn status(&mut self, status: StackStatus) -> bool {
        if self.statuses.get(&status.stack) == Some(&status) {
            return false;
        }
        self.unsaid.insert(status.stack);
        self.statuses.insert(status.stack, status);
        true
    }

    /// Notes a status of a stack of which there is none yet; whether it is news.
    pub(super) fn first_status(&mut self, status: StackStatus) -> bool {
        !self.statuses.contains_key(&status.stack) && self.status(status)
    }

    /// Begins or ends a hold of everything; whether it is news.
    pub(super) fn hold(&mut self, reason: Option<String>) -> bool {
        let is_news = self.holds != reason;
        if is_news {
            self.holds = reason;
            self.forget_what_was_said();
        }
        is_news
    }

    /// What was noted is about another history, whose sequences mean other snapshots: nothing is known any more.
    pub(super) fn begin_anew(&mut self) {
        self.holds = None;
        self.statuses.clear();
        self.unsaid.clear();
    }

    /// What is to be said of a stack at present.
    fn saying(&self, stack: StackId) -> Option<StackStatus> {
        let mut status = self.statuses.get(&stack)?.clone();
        if let Some(reason) = &self.holds {
            // The sequences of another history are other snapshots.
            status.seen = None;
            status.sync = Sync::Held;
            status.reason = Some(reason.clone());
            status.held = None;
        }
        Some(status)
    }

    pub(super) fn forget_what_was_said(&mut self) {
        self.unsaid = self.statuses.keys().copied().collect();
    }

    pub(super) fn forget(&mut self, stack: StackId) {
        self.statuses.remove(&stack);
        self.unsaid.remove(&stack);
    }

    pub(super) fn statuses(&self) -> Vec<StackStatus> {
        let mut bytes = 0;
        let unsaid = self.unsaid.iter().take(STATUSES);
        unsaid
            .filter_map(|stack| self.saying(*stack))
            .take_while(|status| {
                let is_first = bytes == 0;
                bytes += serde_json::to_vec(status).map_or(0, |json| json.len());
                is_first || bytes <= STATUS_BYTES
            })
            .collect()
    }

    /// What was said is news again if it changed meanwhile.
    pub(super) fn said_statuses(&mut self, said: &[StackStatus]) {
        for status in said {
            if self.saying(status.stack).is_none_or(|now| now == *status) {
                self.unsaid.remove(&status.stack);
            }
        }
    }

    /// How many stacks are doing how, as it is said at present.
    pub(crate) fn stacks(&self) -> Stacks {
        let mut stacks = Stacks::new();
        for status in self.statuses.values() {
            let sync = self.holds.as_ref().map_or(status.sync, |_| Sync::Held);
            *stacks.entry((sync, status.health)).or_default() += 1;
        }
        stacks
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::ObjectKey;
    use brokkr_core::ambient::System;
    use brokkr_core::wire::{Health, HeldLoss, LossCause, Sync};

    use super::*;

    fn status() -> StackStatus {
        StackStatus {
            stack: StackId::generate(&System),
            seen: Some(1),
            applied: None,
            sync: Sync::Applying,
            health: Health::Unknown,
            reason: None,
            held: None,
        }
    }

    #[test]
    fn statuses_that_list_much_go_in_several_reports() {
        let mut outbox = Outbox::default();
        let object = |index| ObjectKey {
            group: String::new(),
            kind: "ConfigMap".into(),
            namespace: Some("shop".into()),
            name: format!("{}-{index}", "a-long-name".repeat(5)),
        };
        for _ in 0..4 {
            outbox.status(StackStatus {
                held: Some(HeldLoss {
                    cause: LossCause::Removal(1),
                    objects: (0..4_000).map(object).collect(),
                    owned: 4_000,
                }),
                ..status()
            });
        }
        let mut said = 0;
        while said < 4 {
            let report = outbox.statuses();
            let json = serde_json::to_vec(&report).expect("JSON");
            assert!(!report.is_empty() && json.len() < 1024 * 1024);
            outbox.said_statuses(&report);
            said += report.len();
        }
        assert!(outbox.statuses().is_empty());
    }

    #[test]
    fn a_hold_covers_every_stack_until_it_ends() {
        let mut outbox = Outbox::default();
        let [known, new] = [(); 2].map(|()| status());
        outbox.status(known.clone());
        outbox.said_statuses(&outbox.statuses());
        let reason = || Some("another history".to_owned());
        assert!(outbox.hold(reason()));
        assert!(!outbox.hold(reason()));
        assert!(outbox.first_status(new.clone()));
        let other = StackStatus {
            reason: Some("other".to_owned()),
            ..known.clone()
        };
        assert!(!outbox.first_status(other));
        let said = outbox.statuses();
        assert_eq!(said.len(), 2);
        assert!(
            said.iter()
                .all(|s| s.sync == Sync::Held && s.reason == reason())
        );
        outbox.said_statuses(&said);
        assert!(outbox.statuses().is_empty());
        assert!(outbox.hold(None));
        let mut said = outbox.statuses();
        said.sort_by_key(|status| status.stack != known.stack);
        assert_eq!(said, [known, new]);
    }

    #[test]
    fn only_news_is_said() {
        let mut outbox = Outbox::default();
        let status = status();
        assert!(outbox.status(status.clone()));
        assert!(!outbox.status(status.clone()));
        let said = outbox.statuses();
        let newer = StackStatus {
            sync: Sync::Synced,
            ..status
        };
        assert!(outbox.status(newer.clone()));
        outbox.said_statuses(&said);
        assert_eq!(outbox.statuses(), [newer]);
        outbox.said_statuses(&outbox.statuses());
        assert!(outbox.statuses().is_empty());
        outbox.forget_what_was_said();
        assert_eq!(outbox.statuses().len(), 1);
    }
}
