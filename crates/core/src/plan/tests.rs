//! What each case comes to; [`histories`] plays many of them in a row.

mod histories;

use super::*;

const STACK: &str = "ours";
const ANOTHER: &str = "another";

fn key(index: u8) -> ObjectKey {
    ObjectKey {
        group: String::new(),
        kind: if index == 0 { "Namespace" } else { "ConfigMap" }.to_owned(),
        namespace: None,
        name: format!("object-{index}"),
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
