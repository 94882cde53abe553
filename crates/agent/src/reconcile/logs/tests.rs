use brokkr_core::wire::LOG_LINES;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::cluster::scripted;
use crate::redact::{MARK, Redactor};

fn which() -> WhichLogs {
    WhichLogs {
        all: false,
        container: None,
        tail: LOG_LINES,
        previous: false,
    }
}

fn pod(statuses: &[(&str, Value, bool, bool)]) -> Value {
    let containers: Vec<_> = statuses
        .iter()
        .map(|(name, ..)| json!({"name": name}))
        .collect();
    let statuses = statuses.iter().map(|(name, state, ready, restarted)| {
        let mut status = json!({"name": name, "state": state, "ready": ready});
        if *restarted {
            status["lastState"] = json!({"terminated": {"exitCode": 1}});
        }
        status
    });
    let statuses: Vec<_> = statuses.collect();
    json!({
        "metadata": {"namespace": "shop", "name": "web-1"},
        "spec": {"containers": containers},
        "status": {"phase": "Running", "containerStatuses": statuses},
    })
}

/// `CONTAINER`, with `-` in front of it for the run before, and `?` behind it if there is nothing.
fn runs(pod: &Value, which: &WhichLogs) -> String {
    let words = runs::of(pod, which).into_iter().map(|run| {
        let before = if run.previous { "-" } else { "" };
        let nothing = if run.nothing.is_some() { "?" } else { "" };
        format!("{before}{}{nothing}", run.container)
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn of_a_container_that_fails_the_run_before_is_told_too() {
    let running = || json!({"running": {}});
    let waiting = || json!({"waiting": {"reason": "CrashLoopBackOff"}});
    let ended = |code: i64| json!({"terminated": {"exitCode": code}});
    let pod = pod(&[
        ("well", running(), true, false),
        ("mended", running(), true, true),
        ("slow", running(), false, false),
        ("again", running(), false, true),
        ("loops", waiting(), false, true),
        ("fails", ended(1), false, false),
        ("new", waiting(), false, false),
        ("done", ended(0), false, false),
    ]);
    let failing = which();
    assert_eq!(runs(&pod, &failing), "slow -again again -loops fails new?");
    let all = WhichLogs {
        all: true,
        ..which()
    };
    assert_eq!(
        runs(&pod, &all),
        "well mended slow -again again -loops fails new? done"
    );
    let before = WhichLogs {
        previous: true,
        ..which()
    };
    assert_eq!(runs(&pod, &before), "-slow? -again -loops -fails? -new?");
    let one = WhichLogs {
        container: Some("well".to_owned()),
        ..which()
    };
    assert_eq!(runs(&pod, &one), "well");
    let waits = &runs::of(&pod, &failing)[5].nothing;
    assert_eq!(
        waits.as_deref(),
        Some("it has not run yet: CrashLoopBackOff")
    );
}

#[test]
fn init_containers_that_are_done_are_of_no_interest() {
    let pod = |code: i64| {
        json!({
            "spec": {"initContainers": [{"name": "first"}], "containers": [{"name": "main"}]},
            "status": {
                "initContainerStatuses": [{"name": "first", "state": {"terminated": {"exitCode": code}}}],
                "containerStatuses": [{"name": "main", "state": {"waiting": {"reason": "PodInitializing"}}}],
            },
        })
    };
    assert_eq!(runs(&pod(0), &which()), "main?");
    assert_eq!(runs(&pod(1), &which()), "first main?");
    assert_eq!(runs(&json!({}), &which()), "");
}

#[test]
fn logs_are_of_the_worst_pods_and_bounded() {
    let key = ObjectKey {
        group: "apps".into(),
        kind: "Deployment".into(),
        namespace: Some("shop".into()),
        name: "web".into(),
    };
    let waiting = json!({"waiting": {"reason": "ContainerCreating"}});
    let failing = json!({"waiting": {"reason": "CrashLoopBackOff"}});
    let mut pods: Vec<_> = (0..30)
        .map(|number| {
            let mut pod = pod(&[("main", waiting.clone(), false, true)]);
            pod["metadata"]["name"] = format!("web-{number:02}").into();
            pod
        })
        .collect();
    pods[29]["status"]["containerStatuses"][0]["state"] = failing;
    let looked = [Looked {
        judged: observe::Judged {
            key: &key,
            readiness: readiness::Readiness::CURRENT,
            pods: None,
        },
        pods,
        remark: None,
    }];
    let mut remarks = BTreeSet::new();
    let wanted = wanted(&looked, &which(), &mut remarks);
    assert_eq!(wanted.len(), MOST_PODS);
    assert_eq!(wanted[0].pod.name, "web-29");
    assert_eq!(
        remarks.first().map(String::as_str),
        Some("the logs of 10 more pods were not read")
    );
}

fn teller() -> Teller {
    Teller::new(Redactor::of([b"hunter-two".to_vec()]))
}

fn of_main() -> Wanted {
    let pod = pod(&[("main", json!({"running": {}}), false, false)]);
    let run = runs::of(&pod, &which()).remove(0);
    Wanted {
        pod: key(&pod),
        run,
    }
}

#[tokio::test]
async fn what_is_too_long_is_asked_for_again_in_part_and_never_told_in_half_a_line() {
    let endless = format!("{}hunter-t", "a".repeat(MOST_READ - 8));
    let answers = [(200, endless.as_str()), (200, "old\nwith hunter-two\r\n")];
    let (cluster, left) = scripted::cluster(&answers);
    let log = read(&cluster, of_main(), 1_000, MOST_TOLD, &teller()).await;
    let log = log.expect("a log");
    assert!(left.lock().expect("no panic").is_empty());
    assert_eq!(log.lines, ["old", &format!("with {MARK}")]);
    assert!(log.is_cut);
    let (cluster, _) = scripted::cluster(&[(200, &endless)]);
    let log = read(&cluster, of_main(), 1, MOST_TOLD, &teller()).await;
    let log = log.expect("a log");
    assert!(log.lines.is_empty() && log.is_cut, "{log:?}");
}

#[tokio::test]
async fn a_log_that_cannot_be_had_says_why() {
    let (cluster, _) = scripted::cluster(&[(403, "")]);
    let remark = read(&cluster, of_main(), 1, MOST_TOLD, &teller()).await;
    let remark = remark.expect_err("a remark");
    let rule = r#"{apiGroups: [""], resources: [pods/log], verbs: [get]}"#;
    assert!(
        remark.contains("in namespace shop") && remark.contains(rule),
        "{remark}"
    );
    let status = r#"{"kind": "Status", "message": "hunter-two is gone"}"#;
    let (cluster, _) = scripted::cluster(&[(400, status)]);
    let log = read(&cluster, of_main(), 1, MOST_TOLD, &teller()).await;
    let failure = log.expect("a log").failure;
    assert_eq!(failure.as_deref(), Some("[redacted] is gone (400)"));
}

proptest! {
    #[test]
    fn the_last_lines_are_told_as_far_as_there_is_room(
        lines in prop::collection::vec("[a-zé\u{1b}]{0,40}", 0..40),
        room in 0..2_000usize,
    ) {
        let text = lines.iter().fold(String::new(), |text, line| text + line + "\n");
        let told = written::lines(&text, room, &Redactor::default());
        let size = serde_json::to_vec(&told.lines).expect("JSON").len();
        prop_assert!(size <= room + 2, "{size}");
        prop_assert!(lines.ends_with(&told.lines));
        prop_assert_eq!(told.are_cut, told.lines.len() < lines.len());
    }
}
