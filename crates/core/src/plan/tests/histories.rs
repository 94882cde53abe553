//! A small world of objects, changed by a stack's attempts and by strangers, in any order.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::*;
use super::{ANOTHER, STACK, key};

#[derive(Clone, PartialEq, Debug)]
struct Thing {
    live: Live,
    /// Who brought this incarnation about.
    made_by_us: bool,
}

#[derive(Default)]
struct World {
    things: BTreeMap<u8, Thing>,
    inventory: BTreeMap<u8, Ownership>,
    clock: u64,
}

#[derive(Clone, Debug)]
enum Happening {
    /// An attempt with these objects at this version; it dies after so many writes.
    Attempt {
        wanted: Vec<u8>,
        version: u8,
        writes: usize,
        adopt: Adopt,
    },
    StrangerCreates(u8),
    StrangerEdits(u8),
    StrangerDeletes(u8),
    StrangerTakesLabel(u8),
    StrangerCopiesLabel(u8),
    AnotherStackTakes(u8),
    /// The stack was let go of: what it made keeps its marks, and is nobody's.
    LetGo,
}

impl World {
    fn tick(&mut self) -> String {
        self.clock += 1;
        self.clock.to_string()
    }

    fn thing(&mut self, uid: String, ours: Option<Fingerprint>) -> Thing {
        Thing {
            live: Live {
                incarnation: Incarnation {
                    uid,
                    resource_version: self.tick(),
                },
                stack: ours.map(|_| STACK.to_owned()),
                fields: ours,
                applied_at: ours.map(|_| self.clock.to_string()),
                managers: vec![ours.map_or("stranger", |_| FIELD_MANAGER).to_owned()],
                asks_to_stay: false,
                deleting: None,
                ceded: Vec::new(),
            },
            made_by_us: ours.is_some(),
        }
    }

    /// What an agent does with the verdicts; returns whether it came to the end, and its writes.
    fn attempt(
        &mut self,
        (memory, adopt): (Memory, Adopt),
        wanted: &[u8],
        version: u8,
        budget: usize,
    ) -> (bool, usize) {
        let judge = Judge::new(STACK, memory).adopting(adopt);
        let manifest = Fingerprint::of(&[version]);
        let verdicts: BTreeMap<u8, Verdict> = wanted
            .iter()
            .map(|&i| {
                let live = self.things.get(&i).map(|thing| &thing.live);
                (i, judge.wanted(manifest, self.inventory.get(&i), live))
            })
            .collect();
        if verdicts
            .values()
            .any(|v| matches!(v, Verdict::Conflict { .. }))
        {
            return (false, 0);
        }
        for (&i, verdict) in &verdicts {
            if let Verdict::Adopt(adoption) = verdict {
                self.inventory.insert(i, adoption.claim());
            } else if *verdict == Verdict::Create || !self.inventory.contains_key(&i) {
                self.inventory.insert(i, Ownership::Pending);
            } else if let (Verdict::Update(_), Some(Ownership::Owned { written, .. })) =
                (verdict, self.inventory.get_mut(&i))
            {
                *written = None;
            }
        }
        let mut writes = 0;
        for (i, verdict) in verdicts {
            let uid = match verdict {
                Verdict::Create => self.tick(),
                Verdict::Update(incarnation) => incarnation.uid,
                Verdict::Adopt(adoption) => {
                    assert_eq!(adoption.if_identical, adopt == Adopt::IfIdentical);
                    adoption.incarnation.uid
                }
                _ => continue,
            };
            if writes == budget {
                return (false, writes);
            }
            writes += 1;
            let thing = self.thing(uid.clone(), Some(manifest));
            self.things.insert(i, thing);
            // Dying between a write and its note is the hardest case: every other write goes unnoted.
            if writes < budget || version.is_multiple_of(2) {
                let written = Some(Written {
                    manifest,
                    fields: manifest,
                });
                let owned = Ownership::Owned { uid, written };
                self.inventory.insert(i, owned);
            }
        }
        if memory == Memory::Whole {
            writes += self.prune(judge, wanted);
        }
        (true, writes)
    }

    fn prune(&mut self, judge: Judge<'_>, wanted: &[u8]) -> usize {
        let dropped: Vec<_> = self
            .inventory
            .keys()
            .copied()
            .filter(|i| !wanted.contains(i))
            .collect();
        let mut deletes = 0;
        for i in dropped {
            let live = self.things.get(&i).map(|thing| &thing.live);
            let loss = judge.dropped(&key(i), &self.inventory[&i], live, |_, _| false);
            if let Loss::Delete(incarnation) = &loss {
                let gone = self.things.remove(&i).expect("only what exists is deleted");
                assert_eq!(gone.live.incarnation, *incarnation);
                assert!(gone.made_by_us, "a stranger's object was deleted");
                assert_ne!(i, 0, "a namespace was deleted unasked");
                deletes += 1;
            }
            self.inventory.remove(&i);
        }
        deletes
    }

    fn happen(&mut self, happening: &Happening) {
        match happening {
            Happening::Attempt {
                wanted,
                version,
                writes,
                adopt,
            } => {
                let not_to_be_had = |world: &Self| {
                    let mut strangers = world.strangers();
                    strangers.retain(|(i, thing)| {
                        let is_anothers = thing.live.stack.as_deref() == Some(ANOTHER);
                        adopt.is_never() || is_anothers || !wanted.contains(i)
                    });
                    strangers
                };
                let before = not_to_be_had(self);
                self.attempt((Memory::Whole, *adopt), wanted, *version, *writes);
                let after = not_to_be_had(self);
                assert_eq!(after, before, "a stranger's object was written");
            }
            Happening::StrangerCreates(i) if !self.things.contains_key(i) => {
                let uid = self.tick();
                let thing = self.thing(uid, None);
                self.things.insert(*i, thing);
            }
            Happening::StrangerCreates(_) => {}
            Happening::StrangerEdits(i) => {
                let version = self.tick();
                if let Some(thing) = self.things.get_mut(i) {
                    thing.live.fields = thing
                        .live
                        .fields
                        .map(|_| Fingerprint::of(version.as_bytes()));
                    thing.live.incarnation.resource_version = version;
                }
            }
            Happening::StrangerDeletes(i) => drop(self.things.remove(i)),
            Happening::StrangerTakesLabel(i) => {
                if let Some(thing) = self.things.get_mut(i) {
                    thing.live.stack = None;
                    thing.live.fields = thing.live.fields.map(|_| Fingerprint::of(b"less"));
                }
            }
            Happening::AnotherStackTakes(i) => {
                if let Some(thing) = self.things.get_mut(i).filter(|thing| !thing.made_by_us) {
                    thing.live.stack = Some(ANOTHER.to_owned());
                }
            }
            Happening::LetGo => {
                self.inventory.clear();
                for thing in self.things.values_mut() {
                    thing.made_by_us = false;
                }
            }
            Happening::StrangerCopiesLabel(i) => {
                if let Some(thing) = self.things.get_mut(i) {
                    thing.live.stack = Some(STACK.to_owned());
                }
            }
        }
    }

    fn strangers(&self) -> Vec<(u8, Thing)> {
        let strangers = self.things.iter().filter(|(_, thing)| !thing.made_by_us);
        strangers.map(|(i, thing)| (*i, thing.clone())).collect()
    }
}

fn wanted() -> impl Strategy<Value = Vec<u8>> {
    proptest::sample::subsequence((0..6).collect::<Vec<u8>>(), 0..=6)
}

fn adopt() -> impl Strategy<Value = Adopt> {
    proptest::sample::select(vec![Adopt::Never, Adopt::IfIdentical, Adopt::Always])
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (wanted(), 0..4u8, 0..9usize, adopt()).prop_map(|(wanted, version, writes, adopt)| {
            Happening::Attempt { wanted, version, writes, adopt }
        }),
        1 => (0..6u8).prop_map(Happening::StrangerCreates),
        1 => (0..6u8).prop_map(Happening::StrangerEdits),
        1 => (0..6u8).prop_map(Happening::StrangerDeletes),
        1 => (0..6u8).prop_map(Happening::StrangerTakesLabel),
        1 => (0..6u8).prop_map(Happening::StrangerCopiesLabel),
        1 => (0..6u8).prop_map(Happening::AnotherStackTakes),
        1 => Just(Happening::LetGo),
    ]
}

proptest! {
    /// The assertions stand in `World`: whatever happens, strangers' objects stay as they are, and
    /// an attempt that was let finish leaves nothing to do.
    #[test]
    fn strangers_are_safe_and_attempts_settle(
        happenings in proptest::collection::vec(happening(), 0..40),
        last in wanted(),
        adopt in adopt(),
    ) {
        let mut world = World::default();
        for happening in &happenings {
            world.happen(happening);
        }
        let mode = (Memory::Whole, adopt);
        let (done, _) = world.attempt(mode, &last, 1, usize::MAX);
        if done {
            prop_assert_eq!(world.attempt(mode, &last, 1, usize::MAX), (true, 0));
            for i in &last {
                prop_assert!(world.things.contains_key(i));
            }
        }
    }

    /// A lost inventory takes back only what carries all our marks, and deletes nothing.
    #[test]
    fn a_lost_inventory_loses_no_object(
        happenings in proptest::collection::vec(happening(), 0..40),
        last in wanted(),
    ) {
        let mut world = World::default();
        // Without an inventory nobody can tell what the stack was let go of from what it has.
        for happening in happenings.iter().filter(|happening| !matches!(happening, Happening::LetGo)) {
            world.happen(happening);
        }
        world.inventory.clear();
        let before: Vec<u8> = world.things.keys().copied().collect();
        let strangers = world.strangers();
        world.attempt((Memory::Lost, Adopt::Never), &last, 1, usize::MAX);
        prop_assert_eq!(world.strangers(), strangers);
        prop_assert!(before.iter().all(|i| world.things.contains_key(i)));
    }
}
