use brokkr_core::ObjectKey;
use brokkr_core::plan::{Memory, Ownership};

use super::*;
use crate::cluster::Resource;
use crate::cluster::scripted::cluster;
use crate::validate::Served;

const STACK: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn object() -> Object {
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop"}});
    Object {
        key: ObjectKey {
            group: String::new(),
            kind: "ConfigMap".to_owned(),
            namespace: Some("shop".to_owned()),
            name: "a".to_owned(),
        },
        resource: Resource::new("", "v1", "configmaps"),
        phase: Phase::Configuration,
        fingerprint: Fingerprint::of(b"manifest"),
        body: body.as_object().cloned().unwrap_or_default(),
        needs: Vec::new(),
        served: Served::Already,
        ignored: None,
    }
}

/// A list that came back empty makes a plan create what exists. What stands there with our marks may be what the stack was
/// let go of; only what an earlier attempt was about to create can be its own.
#[tokio::test]
async fn what_stands_in_the_way_of_a_create_is_ours_only_by_an_earlier_attempt() {
    let taken = json!({"kind": "Status", "message": "the object exists", "code": 409}).to_string();
    let marked = json!({"metadata": {
        "name": "a", "namespace": "shop", "uid": "u", "resourceVersion": "7",
        "labels": {"brokkr.io/stack": STACK},
        "managedFields": [{
            "manager": "brokkr", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {},
            "time": "2026-11-24T00:00:00Z",
        }],
    }})
    .to_string();
    let owned = |uid: &str| Ownership::Owned {
        uid: uid.to_owned(),
        written: None,
    };
    let cases = [
        (None, false),
        (Some(Ownership::Pending), true),
        (Some(owned("u")), true),
        (Some(owned("another")), false),
    ];
    for (ownership, is_ours) in cases {
        let (cluster, left) = cluster(&[(409, &taken), (200, &marked), (200, &marked)]);
        let object = object();
        let step = Step {
            object: &object,
            verdict: Verdict::Create,
            ownership: ownership.clone(),
            live: None,
            trial: Trial::AtOnce,
            drift: None,
        };
        let judge = Judge::new(STACK, Memory::Whole);
        let result = one(&cluster, judge, &step, Write::ForReal).await;
        let unasked = left.lock().expect("no panic").len();
        match result {
            Ok(written) => {
                let uid = written.map(|written| written.live.incarnation.uid);
                assert_eq!(
                    (uid.as_deref(), is_ours, unasked),
                    (Some("u"), true, 0),
                    "{ownership:?}"
                );
            }
            Err(refused) => {
                let result = refused.outcome.result;
                let expected = (ObjectResult::Conflict, false, 1);
                assert_eq!((result, is_ours, unasked), expected, "{ownership:?}");
            }
        }
    }
}
