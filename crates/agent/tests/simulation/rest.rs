//! What must be so when all has come to rest.

use std::collections::{BTreeMap, BTreeSet};

use brokkr_core::StackId;
use brokkr_core::wire::{Adopt, LossCause, Sync};

use super::api::FIXED;
use super::broker::{Target, Version, Wanted, approves};
use super::laws::{has, key_of};
use super::object::{Fields, LABEL, Maker, Object, PRUNE, Place, RECREATE};
use super::records::{PENDING, inventory, recorded};
use super::world::World;

impl World {
    /// Why the world is not as it should be after everything has come to rest; none if it is.
    pub fn unrest(&self) -> Option<String> {
        self.broker.stacks.iter().find_map(|(id, stack)| {
            match (&stack.target, stack.versions.last()) {
                (Target::Runs, Some(version)) => {
                    let sequence = stack.versions.len() as u64;
                    self.unrest_of(*id, sequence, version, stack.adopt)
                }
                (Target::Leaves(removal), _) if self.is_held(*id) => {
                    let nothing = BTreeMap::new();
                    let cause = LossCause::Removal(removal.revision);
                    self.untruth_of_hold(*id, cause, &nothing)
                }
                (Target::Leaves(_), _) if !self.is_stuck(*id) => {
                    Some(format!("the removal of {} is not confirmed", stack.name))
                }
                _ => None,
            }
        })
    }

    fn unrest_of(
        &self,
        stack: StackId,
        sequence: u64,
        version: &Version,
        adopt: Adopt,
    ) -> Option<String> {
        let inventory = inventory(&self.api, stack);
        let status = self.broker.statuses.get(&stack);
        let is_synced = status
            .is_some_and(|status| status.sync == Sync::Synced && status.applied == Some(sequence));
        if self.is_held(stack) {
            let cause = LossCause::Snapshot(sequence);
            return self.untruth_of_hold(stack, cause, &version.objects);
        }
        let amiss = version.objects.iter().find_map(|(place, wanted)| {
            let Some(object) = self.api.objects.get(place) else {
                return Some(format!("{place:?} is missing"));
            };
            if inventory.get(place) != Some(&object.uid) {
                return Some(format!("{place:?} is not ours"));
            }
            let is_as_wanted = has(object, &wanted.fields);
            (!is_as_wanted || object.deleting)
                .then(|| format!("{place:?} is not as it was published"))
        });
        let obstacle = version.poison.is_some()
            || self.is_stuck(stack)
            || version.objects.iter().any(|(place, wanted)| {
                let object = self.api.objects.get(place);
                object.is_some_and(|object| {
                    Self::is_immutable(place, object, &wanted.fields)
                        || inventory.get(place) != Some(&object.uid)
                            && !self.is_to_be_taken(stack, adopt, place, object, &wanted.fields)
                })
            });
        let left = self.api.objects.iter().find(|(place, object)| {
            object.maker == Maker::Stack(stack)
                && !version.objects.contains_key(place)
                && !self.is_let_go(stack, place, object)
        });
        match (is_synced, amiss, left) {
            (true, None, None) => None,
            (true, Some(amiss), _) => Some(format!("status says Synced, but {amiss}")),
            (true, None, Some((place, _))) => {
                Some(format!("status says Synced, but {place:?} is left over"))
            }
            (false, ..) if obstacle => None,
            (false, amiss, _) => Some(format!("nothing is in the way, but {status:?}: {amiss:?}")),
        }
    }

    fn is_held(&self, stack: StackId) -> bool {
        let status = self.broker.statuses.get(&stack);
        status.is_some_and(|status| status.sync == Sync::Held)
    }

    /// What is held is what is there, ours, and dropped without a yes; it is more than may go unasked, it is all
    /// shown, and everything else is in place. Where somebody is there to decide, nothing stays held.
    fn untruth_of_hold(
        &self,
        stack: StackId,
        cause: LossCause,
        wanted: &BTreeMap<Place, Wanted>,
    ) -> Option<String> {
        let Some(held) = &self.broker.statuses[&stack].held else {
            return Some(format!("{stack} is held without a reason"));
        };
        if self.is_attended {
            return Some(format!("{stack} is held, and somebody is there"));
        }
        let state = self.broker.state();
        let inventory = inventory(&self.api, stack);
        let is_ours = |place: &Place, object: &Object| {
            let named = inventory.get(place);
            // What an attempt made that was cut short is pending, and ours.
            named == Some(&object.uid)
                || (named.is_some_and(|uid| uid == PENDING) && object.maker == Maker::Stack(stack))
        };
        let would_go = |place: &Place, object: &Object| {
            let key = key_of(place);
            is_ours(place, object)
                && !wanted.contains_key(place)
                && !object.deleting
                && !object.asks_to_stay()
                && object.label() == Some(&stack.to_string())
                && key.kept_kind().is_none()
                && !approves(&state, stack, &key)
        };
        let objects = self.api.objects.iter();
        let lost: BTreeSet<_> = objects
            .filter(|(place, object)| would_go(place, object))
            .map(|(place, _)| key_of(place))
            .collect();
        let shown: BTreeSet<_> = held.objects.iter().cloned().collect();
        let amiss = wanted.iter().find(|(place, wanted)| {
            let object = self.api.objects.get(place);
            !object.is_some_and(|object| is_ours(place, object) && has(object, &wanted.fields))
        });
        // What was held goes only when all that is held could go.
        let statuses = self.broker.statuses.values();
        let all = statuses.filter_map(|status| Some(status.held.as_ref()?.objects.len() as u64));
        let is_little = all.sum::<u64>() <= 5.max(held.owned / 5);
        if (held.cause, &shown) != (cause, &lost) {
            Some(format!(
                "{stack} holds {cause:?} {lost:?}, and shows {held:?}"
            ))
        } else if is_little {
            Some(format!("{stack} holds too little: {held:?}"))
        } else {
            amiss.map(|(place, _)| format!("{stack} is held, and {place:?} is amiss"))
        }
    }

    /// Whether an object cannot become what is wanted, and may not be made anew.
    fn is_immutable(place: &Place, object: &Object, wanted: &Fields) -> bool {
        let is_other = match (object.fields.get(FIXED), wanted.get(FIXED)) {
            (Some(has), Some(wants)) => has != wants,
            _ => false,
        };
        let is_labelled = match object.maker {
            Maker::Stack(stack) => object.label() == Some(&stack.to_string()),
            _ => false,
        };
        let may_be_remade = wanted.contains_key(RECREATE)
            && !wanted.contains_key(PRUNE)
            && key_of(place).kept_kind().is_none()
            && !object.asks_to_stay()
            && is_labelled;
        is_other && !may_be_remade
    }

    /// Whether a stack takes over an object that stands in its way.
    fn is_to_be_taken(
        &self,
        stack: StackId,
        adopt: Adopt,
        place: &Place,
        object: &Object,
        wanted: &Fields,
    ) -> bool {
        // Also by the inventory of a stack that a restore lost: nobody takes its objects but by hand.
        let is_recorded = recorded(&self.api)
            .any(|other| inventory(&self.api, other).get(place) == Some(&object.uid));
        let is_labelled = object
            .label()
            .is_some_and(|label| label != stack.to_string());
        let may_be_taken = match adopt {
            Adopt::Never => false,
            // What we set once and want no more would go.
            Adopt::IfIdentical => {
                let stays = |field: &String| wanted.contains_key(field) || field == LABEL;
                has(object, wanted) && object.set_by_us().all(stays)
            }
            Adopt::Always => true,
        };
        may_be_taken && !is_recorded && !is_labelled
    }

    /// Whether something that ends holds a stack up.
    fn is_stuck(&self, stack: StackId) -> bool {
        self.api
            .objects
            .values()
            .any(|object| object.maker == Maker::Stack(stack) && object.deleting)
    }

    /// What an agent made and nobody knows of any more.
    pub fn orphan(&self) -> Option<String> {
        let mut inventories = BTreeMap::new();
        self.api.objects.iter().find_map(|(place, object)| {
            let Maker::Stack(stack) = object.maker else {
                return None;
            };
            let inventory = inventories
                .entry(stack)
                .or_insert_with(|| inventory(&self.api, stack));
            let is_known = inventory
                .get(place)
                .is_some_and(|uid| *uid == object.uid || uid == PENDING);
            (!is_known && !self.is_let_go(stack, place, object))
                .then(|| format!("{place:?} of {stack} is in no inventory"))
        })
    }
}
