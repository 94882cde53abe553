use std::collections::BTreeMap;

use brokkr_core::StackId;
use brokkr_core::mutant::Mutant;
use brokkr_core::wire::{
    FEATURES, OnRemove, PAUSE, Paused, TargetAgent, TargetRemoval, TargetStack, TargetState,
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
    /// Look, say what differs, and change nothing.
    Rest(TargetStack, Paused),
    /// Do nothing and say why: this version does not understand it.
    Hold(TargetStack, String),
}

impl Order {
    /// Whether anything may be changed under it.
    pub(super) const fn may_change(&self) -> bool {
        matches!(self, Self::Apply(_) | Self::Remove(_))
    }
}

/// The order of every stack that a target state names.
pub(super) fn orders(state: &TargetState) -> BTreeMap<StackId, Order> {
    let removals = state
        .removals
        .iter()
        .filter(|_| !state.agent.is_paused())
        .map(|removal| (removal.stack, Order::Remove(removal.clone())));
    // A stack that is wanted is not removed, should a state ever say both.
    let stacks = state.stacks.iter();
    let stacks = stacks.map(|entry| (entry.stack, order(entry, state.agent)));
    removals.chain(stacks).collect()
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
        }),
        _ => Order::Idle,
    }
}

fn order(entry: &TargetStack, agent: TargetAgent) -> Order {
    let is_strange = |feature: &&String| !FEATURES.contains(&feature.as_str());
    match entry.requires.iter().find(is_strange) {
        None if is_paused(entry, agent) && !Mutant::PauseIgnored.is_on() => {
            let paused = Paused {
                stack: entry.paused,
                agent: agent.paused,
                fleet: agent.fleet_paused,
            };
            Order::Rest(entry.clone(), paused)
        }
        None => Order::Apply(entry.clone()),
        Some(feature) => Order::Hold(
            entry.clone(),
            format!("this stack needs `{feature}`, which this agent does not have: upgrade it"),
        ),
    }
}

/// An entry that requires pauses is paused, even if by something that this version does not know.
fn is_paused(entry: &TargetStack, agent: TargetAgent) -> bool {
    entry.paused || agent.is_paused() || entry.requires.iter().any(|feature| feature == PAUSE)
}

#[cfg(test)]
mod tests {
    use brokkr_core::ambient::System;
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
        }
    }

    #[test]
    fn only_removals_remove_and_only_what_is_understood_is_applied() {
        let (plain, strange) = (entry(&[]), entry(&["time-travel"]));
        let removal = TargetRemoval {
            stack: StackId::generate(&System),
            name: name(),
            policy: OnRemove::Delete,
            allow_delete: Vec::new(),
            revision: 3,
            approved: None,
        };
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
        };
        let orders = orders(&state);
        assert_eq!(orders.len(), 3);
        assert_eq!(orders[&plain.stack], Order::Apply(plain.clone()));
        assert_eq!(orders[&removal.stack], Order::Remove(removal.clone()));
        let held = &orders[&strange.stack];
        assert!(matches!(held, Order::Hold(_, why) if why.contains("time-travel")));
    }

    #[test]
    fn what_is_paused_by_anything_is_only_looked_at() {
        let (plain, required) = (entry(&[]), entry(&[PAUSE]));
        let paused = TargetStack {
            paused: true,
            ..entry(&[PAUSE])
        };
        let removal = TargetRemoval {
            stack: StackId::generate(&System),
            name: name(),
            policy: OnRemove::Delete,
            allow_delete: Vec::new(),
            revision: 3,
            approved: None,
        };
        let mut state = TargetState {
            epoch: Epoch::generate(&System),
            revision: 3,
            state_token: String::new(),
            succeeds: Vec::new(),
            agent: TargetAgent::default(),
            stacks: vec![plain.clone(), required.clone(), paused.clone()],
            removals: vec![removal.clone()],
        };
        let rests = |order: &Order| matches!(order, Order::Rest(..)) && !order.may_change();
        let some = orders(&state);
        assert!(some[&plain.stack].may_change() && some[&removal.stack].may_change());
        assert!(rests(&some[&required.stack]) && rests(&some[&paused.stack]));
        state.agent.fleet_paused = true;
        let all = orders(&state);
        assert!(all.len() == 3 && all.values().all(rests));
    }
}
