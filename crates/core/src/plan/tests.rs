//! A small world of objects, changed by a stack's attempts and by strangers, in any order.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const STACK: &str = "ours";
const ANOTHER: &str = "another";

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

fn key(index: u8) -> ObjectKey {
    ObjectKey {
        group: String::new(),
        kind: if index == 0 { "Namespace" } else { "ConfigMap" }.to_owned(),
        namespace: None,
        name: format!("object-{index}"),
    }
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

fn live(uid: &str) -> Live {
    Live {
        incarnation: Incarnation {
            uid: uid.to_owned(),
            resource_version: "7".to_owned(),
        },
        stack: Some(STACK.to_owned()),
        fields: Some(Fingerprint::of(b"fields")),
        applied_at: Some("noon".to_owned()),
        managers: vec![FIELD_MANAGER.to_owned()],
        asks_to_stay: false,
        deleting: None,
        ceded: Vec::new(),
    }
}

/// The stack was about to take over the object, which had been its own until that time.
fn claimed(uid: &str, applied_at: Option<&str>) -> Ownership {
    Ownership::Claimed {
        uid: uid.to_owned(),
        applied_at: applied_at.map(str::to_owned),
    }
}

fn owned(uid: &str) -> Ownership {
    Ownership::Owned {
        uid: uid.to_owned(),
        written: Some(Written {
            manifest: Fingerprint::of(b"manifest"),
            fields: Fingerprint::of(b"fields"),
        }),
    }
}

#[test]
fn an_object_is_written_only_if_it_is_ours_and_differs() {
    let judge = Judge::new(STACK, Memory::Whole);
    let same = Fingerprint::of(b"manifest");
    let other = Fingerprint::of(b"another");
    let update = Verdict::Update(live("a").incarnation);
    let conflict = Verdict::Conflict {
        managers: vec![FIELD_MANAGER.to_owned()],
        claim: Claim::Unasked,
    };
    let drifted = Live {
        fields: Some(Fingerprint::of(b"fewer")),
        ..live("a")
    };
    let unlabelled = Live {
        stack: None,
        ..live("a")
    };
    let under_way = Ownership::Owned {
        uid: "a".to_owned(),
        written: None,
    };
    let cases = [
        (Some(under_way), Some(live("a")), same, update.clone()),
        (None, None, same, Verdict::Create),
        (Some(owned("a")), None, same, Verdict::Create),
        (Some(owned("a")), Some(live("a")), same, Verdict::Leave),
        (Some(owned("a")), Some(live("a")), other, update.clone()),
        (Some(owned("a")), Some(drifted), same, update.clone()),
        (
            Some(Ownership::Pending),
            Some(live("b")),
            same,
            Verdict::Update(live("b").incarnation),
        ),
        (
            Some(Ownership::Pending),
            Some(unlabelled),
            same,
            conflict.clone(),
        ),
        (Some(owned("a")), Some(live("b")), same, conflict.clone()),
        (
            Some(claimed("a", None)),
            Some(live("a")),
            same,
            update.clone(),
        ),
        (
            Some(claimed("a", Some("dawn"))),
            Some(live("a")),
            same,
            update,
        ),
        (
            Some(claimed("a", Some("noon"))),
            Some(live("a")),
            same,
            conflict.clone(),
        ),
        (
            Some(claimed("a", None)),
            Some(live("b")),
            same,
            conflict.clone(),
        ),
        (None, Some(live("a")), same, conflict),
    ];
    for (ownership, live, manifest, expected) in cases {
        let verdict = judge.wanted(manifest, ownership.as_ref(), live.as_ref());
        assert_eq!(verdict, expected, "{ownership:?} {live:?}");
    }
}

#[test]
fn an_object_is_deleted_only_if_everything_says_that_it_is_ours_to_delete() {
    let judge = Judge::new(STACK, Memory::Whole);
    let delete = Loss::Delete(live("a").incarnation);
    let cases = [
        (1, owned("a"), Some(live("a")), false, delete.clone()),
        (1, owned("a"), None, false, Loss::Forget),
        (1, owned("a"), Some(live("b")), false, Loss::Forget),
        (
            1,
            claimed("a", Some("dawn")),
            Some(live("a")),
            false,
            delete.clone(),
        ),
        (
            1,
            claimed("a", Some("noon")),
            Some(live("a")),
            false,
            Loss::Forget,
        ),
        (1, claimed("a", None), Some(live("b")), false, Loss::Forget),
        (
            1,
            Ownership::Pending,
            Some(Live {
                fields: None,
                ..live("a")
            }),
            false,
            Loss::Forget,
        ),
        (
            1,
            owned("a"),
            Some(Live {
                stack: Some("theirs".into()),
                ..live("a")
            }),
            true,
            Loss::Keep(Keep::LabelGone),
        ),
        (
            1,
            owned("a"),
            Some(Live {
                asks_to_stay: true,
                ..live("a")
            }),
            true,
            Loss::Keep(Keep::Asked),
        ),
        (
            0,
            owned("a"),
            Some(live("a")),
            false,
            Loss::Keep(Keep::Kind(KeptKind::Namespace)),
        ),
        (0, owned("a"), Some(live("a")), true, delete),
        (
            1,
            owned("a"),
            Some(Live {
                deleting: Some(vec!["f".into()]),
                ..live("a")
            }),
            false,
            Loss::Await {
                finalizers: vec!["f".into()],
            },
        ),
    ];
    for (index, ownership, live, may_go, expected) in cases {
        let loss = judge.dropped(&key(index), &ownership, live.as_ref(), |_, _| may_go);
        assert_eq!(loss, expected, "{ownership:?} {live:?}");
    }
}

#[test]
fn what_is_not_ours_is_taken_only_if_the_stack_adopts_and_it_is_no_other_stacks() {
    let foreign = |stack: Option<&str>| Live {
        stack: stack.map(str::to_owned),
        fields: None,
        managers: vec!["kubectl".to_owned()],
        ..live("b")
    };
    let conflict = |claim| Verdict::Conflict {
        managers: vec!["kubectl".to_owned()],
        claim,
    };
    let taken = |if_identical| {
        Verdict::Adopt(Adoption {
            incarnation: live("b").incarnation,
            applied_at: live("b").applied_at,
            managers: vec!["kubectl".to_owned()],
            if_identical,
        })
    };
    let labelled = || conflict(Claim::Labelled(ANOTHER.to_owned()));
    let ending = || Live {
        deleting: Some(Vec::new()),
        ..foreign(None)
    };
    let await_its_end = || Verdict::Await {
        finalizers: Vec::new(),
    };
    let cases = [
        (Adopt::Never, foreign(None), conflict(Claim::Unasked)),
        (Adopt::Never, foreign(Some(STACK)), conflict(Claim::Unasked)),
        (Adopt::Never, foreign(Some(ANOTHER)), labelled()),
        (Adopt::Never, ending(), conflict(Claim::Unasked)),
        (Adopt::IfIdentical, foreign(None), taken(true)),
        (Adopt::IfIdentical, foreign(Some(STACK)), taken(true)),
        (Adopt::IfIdentical, foreign(Some(ANOTHER)), labelled()),
        (Adopt::IfIdentical, ending(), await_its_end()),
        (Adopt::Always, foreign(None), taken(false)),
        (Adopt::Always, foreign(Some(STACK)), taken(false)),
        (Adopt::Always, foreign(Some(ANOTHER)), labelled()),
        (Adopt::Always, ending(), await_its_end()),
    ];
    let inventory = [None, Some(Ownership::Pending), Some(owned("a"))];
    for (adopt, live, expected) in cases {
        for ownership in &inventory {
            let judge = Judge::new(STACK, Memory::Whole).adopting(adopt);
            let manifest = Fingerprint::of(b"manifest");
            let verdict = judge.wanted(manifest, ownership.as_ref(), Some(&live));
            assert_eq!(verdict, expected, "{adopt:?} {ownership:?} {live:?}");
        }
    }
}

#[test]
fn an_object_is_made_anew_only_if_its_manifest_allows_it_and_nothing_keeps_it() {
    let judge = Judge::new(STACK, Memory::Whole);
    let wishes = |recreate, stay| Wishes { recreate, stay };
    let asks = || Live {
        asks_to_stay: true,
        ..live("a")
    };
    let unlabelled = || Live {
        stack: None,
        ..live("a")
    };
    let kept = |keep| Err(Obstacle::Keep(keep));
    let cases = [
        (1, wishes(true, false), live("a"), Ok(())),
        (1, wishes(false, false), live("a"), Err(Obstacle::Unasked)),
        (1, wishes(true, true), live("a"), kept(Keep::Asked)),
        (1, wishes(true, false), asks(), kept(Keep::Asked)),
        (1, wishes(true, false), unlabelled(), kept(Keep::LabelGone)),
        (
            0,
            wishes(true, false),
            live("a"),
            kept(Keep::Kind(KeptKind::Namespace)),
        ),
    ];
    for (index, wishes, live, expected) in cases {
        let said = judge.may_remake(&key(index), wishes, &live);
        assert_eq!(said, expected, "{wishes:?} {live:?}");
    }
    let forgetful = Judge::new(STACK, Memory::Lost);
    let said = forgetful.may_remake(&key(1), wishes(true, false), &live("a"));
    assert_eq!(said, Err(Obstacle::Lost));
    let manifest = |annotations| serde_json::json!({"metadata": {"annotations": annotations}});
    let read = |value: serde_json::Value| Wishes::of(value.as_object().expect("a map"));
    assert_eq!(
        read(serde_json::json!({"metadata": {}})),
        wishes(false, false)
    );
    let annotations =
        serde_json::json!({RECREATE_ANNOTATION: "enabled", PRUNE_ANNOTATION: "disabled"});
    assert_eq!(read(manifest(annotations)), wishes(true, true));
    let annotations =
        serde_json::json!({RECREATE_ANNOTATION: "yes", HELM_POLICY_ANNOTATION: "keep"});
    assert_eq!(read(manifest(annotations)), wishes(false, true));
}

#[test]
fn an_adoption_that_was_examined_covers_the_same_object_only() {
    let adoption = |uid: &str, if_identical| Adoption {
        incarnation: live(uid).incarnation,
        applied_at: None,
        managers: Vec::new(),
        if_identical,
    };
    let before = Verdict::Adopt(adoption("a", false));
    assert!(adoption("a", false).is_settled_by(&before));
    assert!(!adoption("b", false).is_settled_by(&before));
    assert!(!adoption("a", false).is_settled_by(&Verdict::Create));
    let before = Verdict::Adopt(adoption("a", true));
    assert!(!adoption("a", true).is_settled_by(&before));
}
