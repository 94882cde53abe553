use brokkr_core::readiness::Readiness;
use brokkr_core::wire::ContainerState;
use serde_json::json;

use super::*;
use crate::redact::{MARK, Redactor};

const SECRET: &str = "hunter-two";

fn key(kind: &str, name: &str) -> ObjectKey {
    ObjectKey {
        group: "apps".into(),
        kind: kind.into(),
        namespace: Some("shop".into()),
        name: name.into(),
    }
}

fn teller() -> Teller {
    Teller::new(Redactor::of([SECRET.as_bytes().to_vec()]))
}

/// A pod that says the secret wherever somebody else than the stack's author may say something.
fn talkative(name: &str) -> Value {
    let container = json!({
        "name": "main", "restartCount": 7, "ready": false,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": format!("said {SECRET}")}},
        "lastState": {"terminated": {"exitCode": 137, "reason": format!("OOM {SECRET}"), "message": SECRET}},
    });
    json!({
        "metadata": {"name": name, "uid": format!("uid-{name}"), "annotations": {"note": SECRET}},
        "spec": {
            "initContainers": [{"name": "first", "image": "init:1"}],
            "containers": [{"name": "main", "image": format!("shop/{SECRET}:1"), "env": [{"name": "P", "value": SECRET}]}],
        },
        "status": {"phase": "Pending", "message": SECRET, "containerStatuses": [container], "conditions": [
            {"type": "Ready", "status": "False", "message": SECRET, "reason": SECRET},
        ]},
    })
}

fn event(kind: &str, name: &str, uid: &str, minute: u8) -> Value {
    json!({
        "involvedObject": {"kind": kind, "name": name, "uid": uid},
        "type": "Warning", "reason": "BackOff", "message": format!("{name} has {SECRET}"),
        "count": 3, "lastTimestamp": format!("2026-01-02T03:{minute:02}:00Z"),
    })
}

fn described(pods: Vec<Value>, events: Vec<Value>) -> DescribedObject {
    let key = key("Deployment", "web");
    let looked = Looked {
        judged: Judged {
            key: &key,
            readiness: Readiness {
                health: Health::Degraded,
                reason: Some(format!("its {SECRET} is wrong")),
            },
            pods: None,
        },
        pods,
        remark: None,
    };
    let events = BTreeMap::from([("shop".to_owned(), events)]);
    describe(looked, Some("uid-web"), &events, &teller())
}

#[test]
fn what_a_pod_says_is_told_without_secrets() {
    let told = described(
        vec![talkative("web-1")],
        vec![event("Pod", "web-1", "uid-web-1", 1)],
    );
    let text = serde_json::to_string(&told).expect("JSON");
    assert!(!text.contains(SECRET), "{text}");
    assert_eq!(told.reason.as_deref(), Some("its [redacted] is wrong"));
    let pod = &told.pods[0];
    assert_eq!(
        (pod.name.as_str(), pod.phase.as_str()),
        ("web-1", "Pending")
    );
    let reason = pod.reason.as_deref().unwrap_or_default();
    assert!(
        reason.starts_with("container main is in CrashLoopBackOff: ended with exit code 137"),
        "{reason}"
    );
    let [first, main] = &pod.containers[..] else {
        panic!("{pod:?}");
    };
    assert!(first.init && first.state == ContainerState::Unknown);
    assert_eq!(main.image, format!("shop/{MARK}:1"));
    assert_eq!(main.state, ContainerState::Waiting);
    assert_eq!(main.reason.as_deref(), Some("CrashLoopBackOff"));
    assert_eq!(
        (main.restarts, main.last_exit_code, main.ready),
        (7, Some(137), false)
    );
}

#[test]
fn a_message_that_is_shortened_ends_with_no_part_of_a_secret() {
    for before in 180..210 {
        let mut pod = talkative("web-1");
        let waiting =
            json!({"reason": "ErrImagePull", "message": format!("{}{SECRET}", "x".repeat(before))});
        pod["status"]["containerStatuses"][0]["state"]["waiting"] = waiting;
        teller().redactor.redact_messages(&mut pod);
        let told = described(vec![pod], Vec::new());
        let reason = told.pods[0].reason.clone().unwrap_or_default();
        assert!(!reason.contains("xh"), "{reason}");
    }
}

#[test]
fn events_are_those_of_the_object_its_pods_and_what_makes_them() {
    let events = vec![
        event("Pod", "web-1", "uid-web-1", 1),
        event("Deployment", "web", "uid-web", 3),
        event("ReplicaSet", "web-5f7c", "uid-any", 2),
        event("ReplicaSet", "web-api-5f7c", "uid-any", 4),
        event("Pod", "web-1", "uid-of-an-older-one", 5),
    ];
    let told = described(vec![talkative("web-1")], events);
    let about: Vec<_> = told
        .events
        .iter()
        .map(|event| event.about.as_str())
        .collect();
    assert_eq!(
        about,
        ["Deployment web", "ReplicaSet web-5f7c", "Pod web-1"]
    );
    assert_eq!(told.events[2].message, "web-1 has [redacted]");
    assert_eq!(told.events[2].count, 3);
    let many = (0..50).map(|minute| event("Deployment", "web", "uid-web", minute));
    let told = described(Vec::new(), many.collect());
    assert_eq!((told.events.len(), told.more_events), (20, 30));
    let last = told.events[0].last.map(|last| last.to_string());
    assert_eq!(last.as_deref(), Some("2026-01-02T03:49:00Z"));
}

#[test]
fn a_description_is_bounded_and_says_what_is_left_out() {
    let pods: Vec<_> = (0..15).map(|n| talkative(&format!("web-{n:02}"))).collect();
    let one = described(pods, vec![event("Deployment", "web", "uid-web", 1)]);
    assert_eq!((one.pods.len(), one.more_pods), (10, 5));
    let mut crowded = talkative("web-1");
    let many: Vec<_> = (0..30)
        .map(|n| json!({"name": format!("c{n}"), "image": "i"}))
        .collect();
    crowded["spec"]["containers"] = many.into();
    let crowded = described(vec![crowded], Vec::new());
    assert_eq!(
        (
            crowded.pods[0].containers.len(),
            crowded.pods[0].more_containers
        ),
        (20, 11)
    );

    let many = |reason: String| {
        let one = DescribedObject {
            reason: Some(reason),
            ..one.clone()
        };
        let told = bounded(vec![one; MOST_OBJECTS], 7, BTreeSet::new());
        let size = serde_json::to_vec(&told).expect("JSON").len();
        assert!(size < MOST_BYTES + 4_096, "{size}");
        let all = told.objects.len() as u64 + told.more;
        assert_eq!(all, MOST_OBJECTS as u64 + 7);
        told
    };
    let told = many("it waits".to_owned());
    assert_eq!(told.objects.len(), MOST_OBJECTS);
    let [first, .., last] = &told.objects[..] else {
        panic!("{told:?}");
    };
    assert_eq!((first.pods.len(), first.more_pods), (10, 5));
    let rest = (last.pods.len(), last.more_pods, last.more_events);
    assert_eq!(rest, (0, 15, 1));
    // Control characters take more room than they are long.
    let told = many("\u{1b}".repeat(900));
    assert!(told.objects.len() < 100, "{}", told.objects.len());
}
