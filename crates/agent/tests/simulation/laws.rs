//! What must never happen, watched at every step.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use brokkr_core::wire::{OnRemove, StatusReport, Sync, TargetRemoval, TargetState};
use brokkr_core::{Epoch, ObjectKey, StackId};
use serde_json::Value;

use super::api::{Api, Ask, Deed};
use super::broker::{approves, permits, permits_adoption, permits_remake};
use super::copies::Asked;
use super::object::{Fields, LABEL, Maker, Object, Place};
use super::past::Past;
use super::patience::Patience;
use super::records::{INVENTORY, RECORD, RECORDS, inventory};
use super::stillness::{Farewell, Stillness};
use super::world::World;

/// What the broker's contents never say.
pub const WRONG: &str = "never published";
/// What the objects of a snapshot say that is refused as a whole.
pub const REFUSED: &str = "with a refused object";

/// What the laws remember.
#[derive(Default)]
pub struct Witness {
    pub violation: Option<String>,
    /// How often a state was put on record that was not there before.
    pub acceptances: u64,
    /// The states that the agent accepted in its present life, and the last one before it.
    accepted: Vec<TargetState>,
    last: Option<Past>,
    /// The stacks that the agent was told to let go of, which it may have begun when it was told otherwise.
    let_go: BTreeSet<StackId>,
    /// The objects whose loss was refused at any time.
    refused: BTreeSet<(StackId, ObjectKey)>,
    /// When objects went in the present life to which nobody had said yes.
    lost: Vec<Duration>,
    /// How many objects the inventories name, and named at most in the present life.
    named: BTreeMap<StackId, usize>,
    named_at_most: usize,
    /// How often objects of stacks were created, changed or deleted.
    pub writes: u64,
    pub deletions: u64,
    /// How often it was said that a loss is held.
    pub holds: u64,
    pub adoptions: u64,
    pub farewells: u64,
    pub stillness: Stillness,
    pub farewell: Farewell,
    pub patience: Patience,
    /// Whether the broker has said a state in the present life, and what was done before it had.
    pub has_heard: bool,
    pub recalls: u64,
    /// Whether the record says that a cache may be followed.
    may_recall: bool,
}

impl Witness {
    pub const fn has_accepted(&self) -> bool {
        self.last.is_some()
    }

    /// Whether a state is the one that was accepted last.
    pub fn is_on_record(&self, state: &TargetState) -> bool {
        let last = self.last.as_ref();
        last.is_some_and(|past| past.epoch == state.epoch && past.token() == state.state_token)
    }

    /// A new life acts upon the state that is on record until it accepts another.
    pub fn begin_life(&mut self) {
        self.accepted.drain(..self.accepted.len().saturating_sub(1));
        self.lost.clear();
        self.stillness.begin_life();
        self.farewell = Farewell::default();
        self.has_heard = false;
        self.named_at_most = self.named.values().sum();
    }

    /// The agent acts again upon the state that is on record.
    pub fn recall_accepted(&mut self) {
        if let Some(state) = self.accepted.last() {
            self.stillness.saw_accepted(state);
        }
    }

    pub fn saw_refusal(&mut self, stack: StackId, objects: &[ObjectKey]) {
        let refused = objects.iter().map(|key| (stack, key.clone()));
        self.refused.extend(refused);
    }
}

impl World {
    pub fn violated(&mut self, law: impl Into<String>) {
        let law = law.into();
        self.note(format!("VIOLATION: {law}"));
        self.witness.violation.get_or_insert(law);
    }

    /// Judges what the agent has just done in the cluster.
    pub fn witness_deeds(&mut self) {
        for deed in std::mem::take(&mut self.api.deeds) {
            let (place, object) = match &deed {
                Deed::Created(place, object)
                | Deed::Changed(place, _, object)
                | Deed::Deleted(place, object) => (place.clone(), object.clone()),
            };
            if place.plural == "leases" {
                self.witness_lease(&deed);
                continue;
            }
            if place.namespace.as_deref() == Some(RECORDS) {
                if place.name == RECORD {
                    self.witness_record(&object);
                }
                self.witness_inventory(&place);
                continue;
            }
            self.witness.writes += 1;
            self.witness_recall(&place, &object);
            self.witness_stillness(&place, &object);
            self.witness_content(&place, &object);
            match deed {
                Deed::Created(..) => {}
                Deed::Changed(_, before, after) => {
                    if before.maker == Maker::Stranger || Some(before.maker) != maker(&after) {
                        self.witness_adoption(&place, &before, &after);
                    }
                }
                Deed::Deleted(_, before) => self.witness_deletion(&place, &before),
            }
        }
    }

    /// Before the broker has said anything, only what is on record as good for it is followed.
    fn witness_recall(&mut self, place: &Place, object: &Object) {
        if self.witness.has_heard || maker(object).is_none() {
            return;
        }
        self.witness.recalls += 1;
        if !self.witness.may_recall {
            self.violated(format!(
                "{place:?} was touched on the word of a cache that is not to be followed"
            ));
        }
    }

    /// What is paused or not named is left as it is.
    fn witness_stillness(&mut self, place: &Place, object: &Object) {
        let owner = maker(object);
        if let Some(Maker::Stack(stack)) = owner
            && !self.witness.stillness.permits(stack, place, self.age())
        {
            self.violated(format!(
                "{place:?} of {stack} was touched while that was to be left alone"
            ));
        }
    }

    /// Who takes the lease begins anew: with what is on record, and nothing else.
    fn witness_lease(&mut self, deed: &Deed) {
        // The clock by which it was acquired may stand.
        let taken = |object: &Object| object.fields.get("/spec/leaseTransitions").cloned();
        let is_taken = match deed {
            Deed::Created(..) => true,
            Deed::Changed(_, before, after) => taken(before) != taken(after),
            Deed::Deleted(..) => false,
        };
        if is_taken {
            self.witness.begin_life();
        }
    }

    /// Nobody writes without the lease: neither a copy that waits for it, nor one whose lease ran out.
    pub fn witness_writer(&mut self, life: u64, ask: &Ask, asked: &Asked) {
        let is_reading = ask.method == "GET" || ask.query.contains_key("dryRun");
        // The lease lies in a namespace that must be there before.
        let is_before = ask.method == "POST" && ask.path == "/api/v1/namespaces";
        if is_reading || is_before || ask.is_about_lease() || self.copies.holds_since(life, asked) {
            return;
        }
        let (method, path) = (&ask.method, &ask.path);
        self.violated(format!(
            "copy {life} sent {method} {path} without the lease"
        ));
    }

    /// Nothing is written that was never published, nor a part of what the server refuses as a whole.
    fn witness_content(&mut self, place: &Place, object: &Object) {
        let says =
            |field: &str, value: &str| object.fields.get(field).is_some_and(|has| has == value);
        if says("/data/b", WRONG) {
            self.violated(format!("{place:?} has a content that was never published"));
        }
        // A stranger may have copied it, and nobody takes away what a stranger set.
        if says("/data/c", REFUSED) && object.set_by_us().any(|field| field == "/data/c") {
            self.violated(format!(
                "{place:?} was written from a snapshot that is refused"
            ));
        }
    }

    /// What is not a stack's own is taken only if the stack adopts, and never from another stack.
    fn witness_adoption(&mut self, place: &Place, before: &Object, after: &Object) {
        let whose = before.maker;
        let Some(Maker::Stack(stack)) = maker(after) else {
            return self.violated(format!("the agent changed {place:?}, which is {whose:?}'s"));
        };
        let label = before.label();
        let is_recorded = match whose {
            Maker::Stack(other) => inventory(&self.api, other).get(place) == Some(&before.uid),
            Maker::Agent => true,
            Maker::Stranger => false,
        };
        let is_anothers = is_recorded || label.is_some_and(|label| label != stack.to_string());
        let is_identical = without_label(before) == without_label(after);
        let is_permitted =
            |state: &TargetState| permits_adoption(&self.broker, state, stack, place, is_identical);
        if is_anothers || before.deleting || !self.witness.accepted.iter().any(is_permitted) {
            return self.violated(format!("{stack} took {place:?}, which is {whose:?}'s"));
        }
        self.witness.adoptions += 1;
        if let Some(object) = self.api.objects.get_mut(place) {
            object.maker = Maker::Stack(stack);
        }
    }

    fn witness_deletion(&mut self, place: &Place, object: &Object) {
        self.witness.deletions += 1;
        let Maker::Stack(stack) = object.maker else {
            return self.violated(format!(
                "the agent deleted {place:?}, which is {:?}'s",
                object.maker
            ));
        };
        if object.asks_to_stay() {
            return self.violated(format!("the agent deleted {place:?}, which asks to stay"));
        }
        if object.label() != Some(&stack.to_string()) {
            return self.violated(format!(
                "the agent deleted {place:?}, whose label was taken away"
            ));
        }
        let key = key_of(place);
        // What is created anew is not lost.
        let is_remade =
            |state: &TargetState| permits_remake(&self.broker, state, stack, place, object);
        if self.witness.accepted.iter().any(is_remade) {
            return;
        }
        let is_permitted = |state: &TargetState| permits(&self.broker, state, stack, place, &key);
        if !self.witness.accepted.iter().any(is_permitted) {
            return self.violated(format!("nobody asked to delete {place:?}"));
        }
        let is_approved = |state: &TargetState| approves(state, stack, &key);
        if !self.witness.accepted.iter().any(is_approved) {
            self.witness_loss();
        }
    }

    /// No ten minutes see more go than five objects or a fifth, unless somebody said yes.
    fn witness_loss(&mut self) {
        let now = self.age();
        self.witness.lost.push(now);
        let recent = self
            .witness
            .lost
            .iter()
            .filter(|at| now.saturating_sub(**at) < WINDOW);
        let (recent, named) = (recent.count(), self.witness.named_at_most);
        if recent > 5.max(named / 5) {
            self.violated(format!("{recent} of {named} objects went unapproved"));
        }
    }

    fn witness_inventory(&mut self, place: &Place) {
        let stack = place.name.strip_prefix(INVENTORY);
        if let Some(stack) = stack.and_then(|stack| stack.parse().ok()) {
            let named = inventory(&self.api, stack).len();
            self.witness.named.insert(stack, named);
            let all = self.witness.named.values().sum();
            self.witness.named_at_most = self.witness.named_at_most.max(all);
        }
    }

    /// The record of what was accepted moves forward in one history only.
    fn witness_record(&mut self, record: &Object) {
        let text = record
            .fields
            .get("/data/record")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let record: Value = serde_json::from_str(text).unwrap_or_default();
        let accepted = &record["accepted"];
        self.witness.may_recall = accepted["kept"].is_string();
        let (Some(epoch), Some(token)) =
            (accepted["epoch"].as_str(), accepted["state_token"].as_str())
        else {
            return;
        };
        let Ok(epoch) = epoch.parse::<Epoch>() else {
            return self.violated("an epoch that is none");
        };
        let Some((state, past)) = self.broker.said.get(&(epoch, token.to_owned())).cloned() else {
            return self.violated("a state was accepted that the broker never said");
        };
        if let Some(last) = &self.witness.last
            && !past.follows(last)
        {
            let law = format!(
                "{token} of {epoch} was accepted after {} of {}, which it does not follow",
                last.token(),
                last.epoch
            );
            self.violated(law);
        }
        let is_news = self
            .witness
            .last
            .as_ref()
            .is_none_or(|last| !last.contains(&past));
        self.witness.last = Some(past);
        if is_news {
            self.witness.acceptances += 1;
            let orphaned = state
                .removals
                .iter()
                .filter(|removal| removal.policy == OnRemove::Orphan);
            self.witness
                .let_go
                .extend(orphaned.map(|removal| removal.stack));
            self.witness.stillness.saw_accepted(&state);
            self.witness.accepted.push(state);
        }
    }

    /// Whether what the agent says is about the history that the broker has.
    fn is_about_this_history(&self) -> bool {
        let last = self.witness.last.as_ref();
        last.is_none_or(|last| self.broker.past.contains(last))
    }

    /// What is confirmed as removed must be gone, or be let go on purpose.
    pub fn witness_confirmation(&mut self, removal: &TargetRemoval) {
        let maker = Maker::Stack(removal.stack);
        let objects: Vec<_> = self
            .api
            .objects
            .iter()
            .filter(|(_, o)| o.maker == maker)
            .map(|(p, _)| p.clone())
            .collect();
        for place in objects {
            if removal.policy == OnRemove::Orphan {
                self.api
                    .change(&place, |object| object.maker = Maker::Stranger);
                continue;
            }
            let object = &self.api.objects[&place];
            if !self.is_let_go(removal.stack, &place, object) {
                self.violated(format!(
                    "{place:?} is still there, and its stack confirmed as removed"
                ));
            }
        }
    }

    /// What is said to be applied is: as it was published then, or later. What a stranger changed meanwhile is
    /// found at the next resync.
    pub fn witness_statuses(&mut self, report: &StatusReport) {
        let held = report.stacks.iter().filter(|status| status.held.is_some());
        self.witness.holds += held.count() as u64;
        if !self.is_about_this_history() {
            return;
        }
        let lie = report.stacks.iter().find_map(|status| {
            let applied = status
                .applied
                .filter(|_| status.sync == Sync::Synced && status.seen == status.applied)?;
            let since = usize::try_from(applied).ok()? - 1;
            let versions = self
                .broker
                .stacks
                .get(&status.stack)?
                .versions
                .get(since..)?;
            let first = versions.first()?;
            let is_old = |place: &Place| {
                let object = self
                    .api
                    .objects
                    .get(place)
                    .filter(|object| !object.is_meddled_with);
                let mut wanted = versions
                    .iter()
                    .filter_map(|version| version.objects.get(place));
                object.is_some_and(|object| {
                    object.maker == Maker::Stack(status.stack)
                        && !wanted.any(|wanted| has(object, &wanted.fields))
                })
            };
            first.objects.keys().find(|place| is_old(place)).cloned()
        });
        if let Some(place) = lie {
            self.violated(format!(
                "status says Synced, but {place:?} is as it was before"
            ));
        }
    }

    /// Whether an object may stay when its stack drops it. Whether it was allowed to go is not looked at: what
    /// stays too long harms nobody.
    pub fn is_let_go(&self, stack: StackId, place: &Place, object: &Object) -> bool {
        self.witness.let_go.contains(&stack)
            || self.witness.refused.contains(&(stack, key_of(place)))
            || key_of(place).kept_kind().is_some()
            || object.asks_to_stay()
            || object.is_taken_as_it_was
            || object.label() != Some(&stack.to_string())
    }
}

/// For so long, what went counts.
const WINDOW: Duration = Duration::from_mins(10);

pub fn has(object: &Object, wanted: &Fields) -> bool {
    wanted
        .iter()
        .all(|(field, value)| object.fields.get(field) == Some(value))
}

fn without_label(object: &Object) -> Fields {
    let mut fields = object.fields.clone();
    fields.remove(LABEL);
    fields
}

fn maker(object: &Object) -> Option<Maker> {
    let stack = object.fields.get(LABEL).and_then(Value::as_str)?;
    stack.parse().ok().map(Maker::Stack)
}

pub fn key_of(place: &Place) -> ObjectKey {
    let (group, _) = place.api_version.split_once('/').unwrap_or_default();
    let kind = match place.plural.as_str() {
        "configmaps" => "ConfigMap",
        "serviceaccounts" => "ServiceAccount",
        "persistentvolumeclaims" => "PersistentVolumeClaim",
        "namespaces" => "Namespace",
        "customresourcedefinitions" => "CustomResourceDefinition",
        _ => "Widget",
    };
    ObjectKey {
        group: group.to_owned(),
        kind: kind.to_owned(),
        namespace: place.namespace.clone(),
        name: place.name.clone(),
    }
}

/// The places where the agent made something.
pub fn made(api: &Api) -> BTreeSet<Place> {
    let is_made = |object: &Object| matches!(object.maker, Maker::Stack(_));
    api.objects
        .iter()
        .filter(|(_, object)| is_made(object))
        .map(|(place, _)| place.clone())
        .collect()
}
