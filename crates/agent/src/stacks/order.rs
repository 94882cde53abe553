use std::collections::BTreeMap;

use brokkr_core::StackId;
use brokkr_core::mutant::Mutant;
use brokkr_core::window::Held;
use brokkr_core::wire::{
    FEATURES, OnRemove, PAUSE, Paused, TargetAgent, TargetRemoval, TargetStack, TargetState,
    WINDOWS,
};

/// What to do about a stack.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Order {
    /// Nothing: leave it as it is.
    Idle,
    /// Make the cluster what it says.
    Apply(TargetStack),
    /// Take it out of the cluster.
    Remove(TargetRemoval),
    /// Keep what was applied last, and bring nothing new yet.
    Keep(TargetStack, Held),
    /// Leave it in the cluster, say why, and take it out later.
    Postpone(String),
    /// Look, say what differs, and change nothing.
    Rest(TargetStack, Paused),
    /// Do nothing and say why: this version does not understand it.
    Hold(TargetStack, String),
}

impl Order {
    /// Whether anything may be changed under it. What has begun when a window closes is finished.
    pub(super) const fn may_change(&self) -> bool {
        !matches!(self, Self::Idle | Self::Rest(..) | Self::Hold(..))
    }
}

/// The order of every stack that a target state names, while what is new waits for windows or does not.
pub(super) fn orders(state: &TargetState, held: Option<&Held>) -> BTreeMap<StackId, Order> {
    let removals = state.removals.iter().chain(&state.conditional_removals);
    let removals = removals
        .filter(|_| !state.agent.is_paused())
        .map(|removal| (removal.stack, removing(removal, held)));
    // A stack that is wanted is not removed, should a state ever say both.
    let stacks = state.stacks.iter();
    let stacks = stacks.map(|entry| (entry.stack, order(entry, &state.agent, held)));
    removals.chain(stacks).collect()
}

fn removing(removal: &TargetRemoval, held: Option<&Held>) -> Order {
    let waits_for_windows = removal.requires.iter().any(|feature| feature == WINDOWS);
    match (strange(&removal.requires), held) {
        (Some(why), _) => Order::Postpone(why),
        (None, Some(held)) if waits_for_windows => Order::Postpone(held.to_string()),
        (None, _) => Order::Remove(removal.clone()),
    }
}

/// What is asked of an agent that this version does not understand, if anything is.
fn strange(requires: &[String]) -> Option<String> {
    let is_strange = |feature: &&String| !FEATURES.contains(&feature.as_str());
    let feature = requires.iter().find(is_strange)?;
    Some(format!(
        "this stack needs `{feature}`, which this agent does not have: upgrade it"
    ))
}

/// What becomes of a stack that a state does not name: nothing. Only an entry of the removals removes.
pub(super) fn of_absence(before: &Order) -> Order {
    match before {
        Order::Apply(entry) if Mutant::AbsenceDeletes.is_on() => Order::Remove(TargetRemoval {
            stack: entry.stack,
            name: entry.name.clone(),
            policy: OnRemove::Delete,
            allow_delete: Vec::new(),
            revision: 0,
            approved: None,
            service_account: entry.service_account.clone(),
            requires: Vec::new(),
        }),
        _ => Order::Idle,
    }
}

fn order(entry: &TargetStack, agent: &TargetAgent, held: Option<&Held>) -> Order {
    match strange(&entry.requires) {
        None if is_paused(entry, agent) && !Mutant::PauseIgnored.is_on() => {
            let paused = Paused {
                stack: entry.paused,
                agent: agent.paused,
                fleet: agent.fleet_paused,
            };
            Order::Rest(entry.clone(), paused)
        }
        None => match held {
            Some(held) if !entry.ignores_windows && !Mutant::WindowIgnored.is_on() => {
                Order::Keep(entry.clone(), held.clone())
            }
            _ => Order::Apply(entry.clone()),
        },
        Some(why) => Order::Hold(entry.clone(), why),
    }
}

/// An entry that requires pauses is paused, even if by something that this version does not know.
fn is_paused(entry: &TargetStack, agent: &TargetAgent) -> bool {
    entry.paused || agent.is_paused() || entry.requires.iter().any(|feature| feature == PAUSE)
}

#[cfg(test)]
mod tests {
    use brokkr_core::ambient::System;
    use brokkr_core::window::Until;
    use brokkr_core::{DeploymentObjectId, Digest, Epoch, Name};

    use super::*;

    fn name() -> Name {
        "a".parse().expect("a name")
    }

    fn entry(requires: &[&str]) -> TargetStack {
        TargetStack {
            stack: StackId::generate(&System),
            name: name(),
            deployment_object: DeploymentObjectId::generate(&System),
            sequence: 1,
            digest: Digest::of(None, ""),
            size: 0,
            default_namespace: None,
            create_namespace: false,
            allow_delete: Vec::new(),
            requires: requires.iter().map(|&r| r.to_owned()).collect(),
            approved_losses: Vec::new(),
            released: Vec::new(),
            adopt: brokkr_core::wire::Adopt::Never,
            drift: brokkr_core::wire::Drift::Repair,
            paused: false,
            ignores_windows: false,
            service_account: None,
        }
    }

    fn removal(requires: &[&str]) -> TargetRemoval {
        TargetRemoval {
            stack: StackId::generate(&System),
            name: name(),
            policy: OnRemove::Delete,
            allow_delete: Vec::new(),
            revision: 3,
            approved: None,
            service_account: None,
            requires: requires.iter().map(|&r| r.to_owned()).collect(),
        }
    }

    #[test]
    fn only_removals_remove_and_only_what_is_understood_is_applied() {
        let (plain, strange) = (entry(&[]), entry(&["time-travel"]));
        let removal = self::removal(&[]);
        let odd = self::removal(&["time-travel"]);
        let withdrawn = TargetRemoval {
            stack: plain.stack,
            ..removal.clone()
        };
        let state = TargetState {
            epoch: Epoch::generate(&System),
            revision: 3,
            state_token: String::new(),
            succeeds: Vec::new(),
            agent: TargetAgent::default(),
            stacks: vec![plain.clone(), strange.clone()],
            removals: vec![removal.clone(), withdrawn],
            conditional_removals: vec![odd.clone()],
            requests: Vec::new(),
        };
        let orders = orders(&state, None);
        assert_eq!(orders.len(), 4);
        assert_eq!(orders[&plain.stack], Order::Apply(plain.clone()));
        assert_eq!(orders[&removal.stack], Order::Remove(removal.clone()));
        let held = &orders[&strange.stack];
        assert!(matches!(held, Order::Hold(_, why) if why.contains("time-travel")));
        let left = &orders[&odd.stack];
        assert!(matches!(left, Order::Postpone(why) if why.contains("time-travel")));
    }

    #[test]
    fn what_is_paused_by_anything_is_only_looked_at() {
        let (plain, required) = (entry(&[]), entry(&[PAUSE]));
        let paused = TargetStack {
            paused: true,
            ..entry(&[PAUSE])
        };
        let removal = removal(&[]);
        let mut state = TargetState {
            epoch: Epoch::generate(&System),
            revision: 3,
            state_token: String::new(),
            succeeds: Vec::new(),
            agent: TargetAgent::default(),
            stacks: vec![plain.clone(), required.clone(), paused.clone()],
            removals: vec![removal.clone()],
            conditional_removals: Vec::new(),
            requests: Vec::new(),
        };
        let rests = |order: &Order| matches!(order, Order::Rest(..)) && !order.may_change();
        let some = orders(&state, None);
        assert!(some[&plain.stack].may_change() && some[&removal.stack].may_change());
        assert!(rests(&some[&required.stack]) && rests(&some[&paused.stack]));
        state.agent.fleet_paused = true;
        let all = orders(&state, None);
        assert!(all.len() == 3 && all.values().all(rests));
    }

    #[test]
    fn while_windows_hold_what_is_new_waits_and_pauses_are_stronger() {
        let held = Held {
            window: name(),
            until: Until::Further,
        };
        let (plain, paused) = (entry(&[WINDOWS]), entry(&[PAUSE, WINDOWS]));
        let urgent = TargetStack {
            ignores_windows: true,
            ..entry(&[])
        };
        let removal = removal(&[WINDOWS]);
        let state = TargetState {
            epoch: Epoch::generate(&System),
            revision: 3,
            state_token: String::new(),
            succeeds: Vec::new(),
            agent: TargetAgent::default(),
            stacks: vec![plain.clone(), paused.clone(), urgent.clone()],
            removals: Vec::new(),
            conditional_removals: vec![removal.clone()],
            requests: Vec::new(),
        };
        let closed = orders(&state, Some(&held));
        assert_eq!(
            closed[&plain.stack],
            Order::Keep(plain.clone(), held.clone())
        );
        assert_eq!(closed[&urgent.stack], Order::Apply(urgent.clone()));
        let until = Order::Postpone(held.to_string());
        assert_eq!(closed[&removal.stack], until);
        assert!(matches!(closed[&paused.stack], Order::Rest(..)));
        let open = orders(&state, None);
        assert_eq!(open[&plain.stack], Order::Apply(plain.clone()));
        assert_eq!(open[&removal.stack], Order::Remove(removal));
        assert!(matches!(open[&paused.stack], Order::Rest(..)));
    }
}
