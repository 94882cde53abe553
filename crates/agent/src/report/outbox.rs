//! What is to be said, bounded.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use brokkr_core::StackId;
use brokkr_core::wire::{AgentEvent, StackStatus, Sync};

use crate::monitor::Stacks;

/// The most events that wait; the oldest go first, and the next one says how many went.
const MOST_EVENTS: usize = 10_000;
/// The most object outcomes in waiting events: a bound on memory.
const MOST_OBJECTS: usize = 500_000;
/// The most events in a report.
const BATCH: usize = 100;
/// A report ends when it has so many object outcomes, to stay far below the broker's limit.
const OBJECTS_IN_BATCH: usize = 5_000;
/// The most statuses in a report.
const STATUSES: usize = 500;
/// A report of statuses ends when it has so many bytes, since they may list what is held: a broker reads 1 MiB.
const STATUS_BYTES: usize = 900 * 1024;

#[derive(Default)]
pub(super) struct Outbox {
    statuses: BTreeMap<StackId, StackStatus>,
    /// Why every stack is held, if the broker's history is not the one that the agent follows.
    holds: Option<String>,
    unsaid: BTreeSet<StackId>,
    events: VecDeque<AgentEvent>,
    objects: usize,
    dropped: u64,
    /// Some event of the next batch was refused: send one at a time to find it.
    suspects: usize,
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
    pub(super) fn stacks(&self) -> Stacks {
        let mut stacks = Stacks::new();
        for status in self.statuses.values() {
            let sync = self.holds.as_ref().map_or(status.sync, |_| Sync::Held);
            *stacks.entry((sync, status.health)).or_default() += 1;
        }
        stacks
    }

    /// How many events wait.
    pub(super) fn waiting(&self) -> usize {
        self.events.len()
    }

    /// Adds an event, in place of the same one with a lower count; answers how many were dropped for it.
    pub(super) fn event(&mut self, mut event: AgentEvent) -> u64 {
        let before = self.dropped;
        if let Some(waiting) = self.events.iter_mut().rev().find(|e| e.id == event.id) {
            *waiting = event;
            return 0;
        }
        self.objects += event.objects.len();
        while self.events.len() >= MOST_EVENTS || self.objects > MOST_OBJECTS {
            let Some(oldest) = self.events.pop_front() else {
                break;
            };
            self.objects -= oldest.objects.len();
            self.dropped += 1;
        }
        if self.dropped > 0 {
            let note = format!(
                "({} earlier events were dropped: the broker could not be reached)",
                self.dropped
            );
            event.reason = Some(match event.reason {
                Some(reason) => format!("{reason} {note}"),
                None => note,
            });
        }
        self.events.push_back(event);
        self.dropped - before
    }

    pub(super) fn events(&self) -> Vec<AgentEvent> {
        let most = if self.suspects > 0 { 1 } else { BATCH };
        let mut objects = 0;
        self.events
            .iter()
            .take(most)
            .take_while(|event| {
                let is_first = objects == 0;
                objects += event.objects.len();
                is_first || objects <= OBJECTS_IN_BATCH
            })
            .cloned()
            .collect()
    }

    /// Takes out what was said; an event whose count grew meanwhile is said again.
    pub(super) fn said_events(&mut self, said: &[AgentEvent]) {
        self.suspects = self.suspects.saturating_sub(said.len());
        self.dropped = 0;
        self.take_out(|event| {
            said.iter()
                .any(|s| s.id == event.id && s.count == event.count)
        });
    }

    /// Takes out an event that is not taken, or prepares to find it in a batch.
    pub(super) fn refused(&mut self, batch: &[AgentEvent]) {
        match batch {
            [event] => {
                self.suspects = self.suspects.saturating_sub(1);
                self.take_out(|waiting| waiting.id == event.id);
            }
            _ => self.suspects = batch.len(),
        }
    }

    fn take_out(&mut self, is_out: impl Fn(&AgentEvent) -> bool) {
        self.events.retain(|event| !is_out(event));
        self.objects = self.events.iter().map(|event| event.objects.len()).sum();
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::ambient::{Ambient, System};
    use brokkr_core::wire::{Action, Health, HeldLoss, LossCause, Outcome, Sync};
    use brokkr_core::{EventId, ObjectKey};

    use super::*;

    fn event() -> AgentEvent {
        AgentEvent {
            id: EventId::generate(&System),
            stack: StackId::generate(&System),
            deployment_object: None,
            sequence: None,
            action: Action::Apply,
            outcome: Outcome::Failed,
            reason: None,
            objects: Vec::new(),
            count: 1,
            first: System.now(),
            last: System.now(),
        }
    }

    #[test]
    fn the_outbox_is_bounded_and_says_what_it_lost() {
        let mut outbox = Outbox::default();
        for _ in 0..MOST_EVENTS + 5 {
            outbox.event(event());
        }
        assert_eq!(outbox.events.len(), MOST_EVENTS);
        let last = outbox.events.back().and_then(|e| e.reason.clone());
        assert!(last.is_some_and(|reason| reason.contains("5 earlier events")));
    }

    #[test]
    fn an_event_that_grew_while_it_was_said_is_said_again() {
        let mut outbox = Outbox::default();
        let first = event();
        outbox.event(first.clone());
        let said = outbox.events();
        outbox.event(AgentEvent { count: 2, ..first });
        outbox.said_events(&said);
        assert_eq!(outbox.events().first().map(|e| e.count), Some(2));
        outbox.said_events(&outbox.events());
        assert!(outbox.events().is_empty());
    }

    #[test]
    fn one_event_that_is_not_taken_holds_up_no_other() {
        let mut outbox = Outbox::default();
        let (good, bad, other) = (event(), event(), event());
        for event in [&good, &bad, &other] {
            outbox.event(event.clone());
        }
        let mut taken = Vec::new();
        while let batch = outbox.events()
            && !batch.is_empty()
        {
            if batch.iter().any(|e| e.id == bad.id) {
                outbox.refused(&batch);
            } else {
                taken.extend(batch.iter().map(|e| e.id));
                outbox.said_events(&batch);
            }
        }
        assert_eq!(taken, [good.id, other.id]);
    }

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
