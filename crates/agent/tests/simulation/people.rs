//! Those who change the world: operators, who publish and remove, and strangers with `kubectl`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use brokkr_core::ambient::Ambient;
use brokkr_core::wire::{Adopt, Approval, OnRemove};
use brokkr_core::{DeploymentObjectId, StackId};
use serde_json::{Map, Value, json};

use super::api::{POISON, QUOTA};
use super::broker::{Mood, NAMESPACE, Poison, Stack, Target, Version, Wanted, yes};
use super::laws::{REFUSED, key_of, made};
use super::object::{Fields, LABEL, Maker, Object, PRUNE, Place, fields_of};
use super::world::World;

const STACKS: usize = 3;
/// How many in a thousand make a plan before something goes.
const PLANNED: u32 = 300;

impl World {
    /// Somebody does something.
    pub fn act(&mut self, ambient: &dyn Ambient) {
        match self.random.u32(0..100) {
            0..22 => drop(self.publish(ambient)),
            22..55 => self.change_one(ambient),
            55..59 => self.decide(),
            59 => self.lose_all(),
            60..64 => self.pause_or_resume(),
            64..80 => self.disturb(),
            80..83 => self.back_up(),
            83..86 => self.restore(),
            86 => self.accept_lost(),
            _ => self.change_mood(),
        }
    }

    fn change_one(&mut self, ambient: &dyn Ambient) {
        let ids: Vec<_> = self.broker.stacks.keys().copied().collect();
        if ids.is_empty() {
            return;
        }
        let id = ids[self.random.usize(0..ids.len())];
        match self.random.u32(0..5) {
            0 => self.retarget(id),
            1 | 2 => self.roll_back(id, ambient),
            3 => self.adopt_otherwise(id),
            _ => self.untarget(id),
        }
    }

    /// Operators who are there decide about what is held.
    pub fn decide(&mut self) {
        if !self.is_attended {
            return;
        }
        let ids: Vec<_> = self.broker.stacks.keys().copied().collect();
        for id in ids {
            if let Some(held) = self.broker.held(id) {
                let is_fine = self.chance(500);
                let word = if is_fine { "approve" } else { "refuse" };
                self.note(format!("{word} {id}: {} objects", held.objects.len()));
                if !is_fine {
                    self.witness.saw_refusal(id, &held.objects);
                }
                self.broker.decide(id, held, is_fine);
            }
        }
    }

    /// All faults end, and what stood in the way of deletions goes.
    pub fn calm(&mut self) {
        self.note("calm");
        self.weather = super::world::Weather::default();
        self.broker.mood = Mood::Well;
        self.points_to_live = None;
        self.copies.thaw_all();
        let ending: Vec<_> = self
            .api
            .objects
            .iter()
            .filter(|(_, o)| !o.finalizers.is_empty())
            .map(|(p, _)| p.clone())
            .collect();
        for place in ending {
            self.api.change(&place, |object| object.finalizers.clear());
        }
    }

    fn publish(&mut self, ambient: &dyn Ambient) -> StackId {
        let number = self.random.usize(0..STACKS);
        let poison = match self.random.u32(0..100) {
            0..6 => Some(Poison::AtOnce),
            6..12 => Some(Poison::InEarnest),
            _ => None,
        };
        let version = self.version(number, poison, ambient);
        self.publish_version(number, version, ambient)
    }

    /// Publishes something that can be applied.
    pub fn publish_to(&mut self, number: usize, ambient: &dyn Ambient) -> StackId {
        let version = self.version(number, None, ambient);
        self.publish_version(number, version, ambient)
    }

    fn publish_version(
        &mut self,
        number: usize,
        version: Version,
        ambient: &dyn Ambient,
    ) -> StackId {
        let name = format!("stack-{number}");
        let adopt = self.any_adopt();
        let known = self
            .broker
            .stacks
            .iter()
            .find(|(_, stack)| stack.name == name);
        let id = known.map_or_else(|| StackId::generate(ambient), |(id, _)| *id);
        self.note(format!(
            "publish {name} {id}: {} objects",
            version.objects.len()
        ));
        let is_planned = self.chance(PLANNED);
        self.broker.change(|stacks, _| {
            let stack = stacks.entry(id).or_insert_with(|| Stack::new(name, adopt));
            stack.publish(version, is_planned);
        });
        id
    }

    /// Publishes once more what was published before the last time.
    pub fn roll_back(&mut self, id: StackId, ambient: &dyn Ambient) {
        let versions = &self.broker.stacks[&id].versions;
        let earlier = Version {
            id: DeploymentObjectId::generate(ambient),
            ..versions[versions.len().saturating_sub(2)].clone()
        };
        self.note(format!("roll back {id}"));
        let is_planned = self.chance(PLANNED);
        self.broker.change(|stacks, _| {
            if let Some(stack) = stacks.get_mut(&id) {
                stack.publish(earlier, is_planned);
            }
        });
    }

    fn version(&mut self, number: usize, poison: Option<Poison>, ambient: &dyn Ambient) -> Version {
        let mut objects = BTreeMap::new();
        let mut text = String::new();
        let count = self.random.usize(1..24);
        for index in 0..count {
            let (place, mut object) = self.manifest(number);
            if poison == Some(Poison::AtOnce) {
                object["data"]["c"] = json!(REFUSED);
            }
            match poison.filter(|_| index == 0) {
                Some(Poison::AtOnce) => object["data"]["a"] = json!(POISON),
                Some(Poison::InEarnest) => object["data"]["a"] = json!(QUOTA),
                None => {}
            }
            // JSON is YAML.
            if let (false, Value::Object(body)) = (objects.contains_key(&place), &object) {
                let _ = writeln!(text, "---\n{object}");
                let wanted = Wanted {
                    key: key_of(&place),
                    fields: fields_of(body),
                };
                objects.insert(place, wanted);
            }
        }
        let may_go = self.chance(300);
        let earlier = self
            .broker
            .stacks
            .values()
            .filter(|stack| stack.name == format!("stack-{number}"));
        let earlier = earlier
            .flat_map(|stack| &stack.versions)
            .flat_map(|version| version.objects.values());
        let allow_delete = earlier
            .map(|wanted| wanted.key.clone())
            .filter(|key| may_go && key.kept_kind().is_some())
            .collect();
        Version {
            id: DeploymentObjectId::generate(ambient),
            text,
            objects,
            poison,
            allow_delete,
            approved: BTreeSet::new(),
        }
    }

    fn manifest(&mut self, number: usize) -> (Place, Value) {
        let owner = if self.chance(50) {
            "shared".to_owned()
        } else {
            format!("s{number}")
        };
        let name = format!("{owner}-{}", self.random.u32(0..24));
        let (api_version, plural, kind) = match self.random.u32(0..20) {
            0..15 => ("v1", "configmaps", "ConfigMap"),
            15..18 => ("v1", "serviceaccounts", "ServiceAccount"),
            _ => ("v1", "persistentvolumeclaims", "PersistentVolumeClaim"),
        };
        let place = Place {
            api_version: api_version.to_owned(),
            plural: plural.to_owned(),
            namespace: Some(NAMESPACE.to_owned()),
            name: name.clone(),
        };
        let mut object = json!({
            "apiVersion": api_version, "kind": kind, "metadata": { "name": name },
            "data": { "a": self.random.u32(0..3).to_string(), "b": "same" },
        });
        if self.chance(50) {
            object["metadata"]["annotations"] = json!({ "brokkr.io/prune": "disabled" });
        }
        if self.has_fixed_fields && self.chance(400) {
            object["data"]["fixed"] = self.random.u32(0..2).to_string().into();
            if self.chance(400) {
                object["metadata"]["annotations"]["brokkr.io/recreate"] = "enabled".into();
            }
        }
        (place, object)
    }

    fn any_stack(&mut self) -> Option<StackId> {
        let ids: Vec<_> = self.broker.stacks.keys().copied().collect();
        (!ids.is_empty()).then(|| ids[self.random.usize(0..ids.len())])
    }

    fn any_adopt(&mut self) -> Adopt {
        let modes = [Adopt::Never, Adopt::IfIdentical, Adopt::Always];
        modes[self.random.usize(0..modes.len())]
    }

    fn adopt_otherwise(&mut self, id: StackId) {
        let adopt = self.any_adopt();
        self.note(format!("{id} adopts {adopt:?}"));
        self.broker.change(|stacks, _| {
            if let Some(stack) = stacks.get_mut(&id) {
                stack.adopt = adopt;
            }
        });
    }

    fn retarget(&mut self, id: StackId) {
        self.note(format!("target {id}"));
        self.broker.change(|stacks, _| {
            if let Some(stack) = stacks.get_mut(&id) {
                stack.target = Target::Runs;
            }
        });
    }

    pub fn untarget(&mut self, id: StackId) {
        let policy = if self.chance(200) {
            OnRemove::Orphan
        } else {
            OnRemove::Delete
        };
        let is_planned = self.chance(PLANNED);
        self.remove(id, policy, is_planned.then(yes));
    }

    pub fn remove(&mut self, id: StackId, policy: OnRemove, approved: Option<Approval>) {
        self.note(format!("untarget {id}: {policy:?}"));
        self.broker.change(|stacks, revision| {
            if let Some(stack) = stacks.get_mut(&id)
                && stack.target == Target::Runs
            {
                let mut removal = stack.removal(id, policy, revision);
                removal.approved = approved;
                stack.target = Target::Leaves(Box::new(removal));
            }
        });
    }

    /// A selector is edited and matches nothing.
    fn lose_all(&mut self) {
        self.note("untarget all");
        self.broker.change(|stacks, revision| {
            for (id, stack) in stacks.iter_mut() {
                if stack.target == Target::Runs {
                    let removal = stack.removal(*id, OnRemove::Delete, revision);
                    stack.target = Target::Leaves(Box::new(removal));
                }
            }
        });
    }

    pub fn back_up(&mut self) {
        self.note("the database is backed up");
        self.broker.back_up();
    }

    pub fn restore(&mut self) {
        if self.broker.restore() {
            self.note("the backup is restored");
        }
    }

    /// An operator lets the agents follow a database that lost history.
    pub fn accept_lost(&mut self) {
        if self.broker.accept_lost() {
            self.note("what was lost is accepted");
        }
    }

    fn change_mood(&mut self) {
        let moods = [
            Mood::Unreachable,
            Mood::Page,
            Mood::Retired,
            Mood::Retired,
            Mood::OtherRetired,
            Mood::GonePage,
            Mood::Refuses([401, 403, 404, 410, 500, 503][self.random.usize(0..6)]),
            Mood::Cut,
            Mood::Behind,
            Mood::Foreign,
            Mood::WrongContent,
            Mood::Short,
            Mood::Forgetful,
        ];
        let other = moods[self.random.usize(0..moods.len())];
        // The first state ever is trusted, whoever says it.
        let is_well = self.broker.mood != Mood::Well || !self.witness.has_accepted();
        self.broker.mood = if is_well { Mood::Well } else { other };
        self.note(format!("the broker is {:?}", self.broker.mood));
    }

    /// A stranger meddles with what the agent made, or puts something beside it.
    pub fn disturb(&mut self) {
        let places: Vec<_> = made(&self.api).into_iter().collect();
        if places.is_empty() || self.chance(300) {
            return self.put_look_alike();
        }
        let place = places[self.random.usize(0..places.len())].clone();
        let what = self.random.u32(0..7);
        self.note(format!("a stranger does {what} to {}", place.name));
        match what {
            0 | 1 => self.edit(&place, "/data/a", Some("edited")),
            2 => self.api.drop_object(&place),
            3 => self.edit(&place, LABEL, None),
            4 => self.edit(&place, PRUNE, Some("disabled")),
            5 => {
                let hold =
                    |object: &mut Object| object.finalizers.push("example.io/wait".to_owned());
                self.api.change(&place, hold);
            }
            _ => {
                // The same name, the same labels, another object.
                let fields = self.api.objects[&place].fields.clone();
                self.api.drop_object(&place);
                self.api
                    .make(place, fields, "kubectl-create", Maker::Stranger);
            }
        }
    }

    fn edit(&mut self, place: &Place, field: &str, value: Option<&str>) {
        self.api.change(place, |object| {
            object.edit("kubectl-edit", field, value.map(Value::from));
        });
    }

    /// An object as a stack wants it.
    fn any_wanted(&mut self) -> Option<(Place, Fields)> {
        let id = self.any_stack()?;
        let objects = &self.broker.stacks[&id].versions.last()?.objects;
        let nth = self.random.usize(0..objects.len().max(1));
        let (place, wanted) = objects.iter().nth(nth)?;
        Some((place.clone(), wanted.fields.clone()))
    }

    fn put_look_alike(&mut self) {
        let (place, object) = match self.any_wanted() {
            Some(wanted) if self.random.bool() => wanted,
            _ => {
                let (place, object) = self.manifest(0);
                (place, fields_of(object.as_object().unwrap_or(&Map::new())))
            }
        };
        let is_homeless = !self
            .api
            .objects
            .contains_key(&super::api::namespace(NAMESPACE));
        if self.api.objects.contains_key(&place) || is_homeless {
            return;
        }
        let mut fields: Fields = object;
        if let Some(stack) = self.any_stack().filter(|_| self.random.bool()) {
            fields.insert(LABEL.to_owned(), json!(stack.to_string()));
        }
        self.note(format!("a stranger makes {}", place.name));
        self.api.make(place, fields, "controller", Maker::Stranger);
    }
}
