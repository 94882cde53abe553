//! Telling what containers wrote, and no value of the stack's secrets.

use std::sync::Arc;
use std::time::Duration;

use brokkr_agent::Error;
use brokkr_core::access::Access;
use brokkr_core::manifest;
use brokkr_core::wire::{ContainerLog, LOG_LINES, LogLines, RequestKind, StackLogs, WhichLogs};
use serde_json::json;

use crate::bed::Bed;

/// One that fails and writes its password, one that is well, and one that never began.
fn application() -> String {
    let deployment = |name: &str, image: &str, says: &str| {
        format!(
            "---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      containers:
        - name: main
          image: {image}
          args: [begins, {says}, ends]
          env: [{{name: PASSWORD, valueFrom: {{secretKeyRef: {{name: s, key: password}}}}}}]
"
        )
    };
    [
        "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: hunter-one}\n"
            .to_owned(),
        deployment("fails", "crashing:1", "no entry with $(PASSWORD)"),
        deployment("well", "works:1", "served $(PASSWORD)"),
        deployment("never", "broken:1", "nothing"),
    ]
    .concat()
}

/// A bed with that application, whose pods have come as far as they do.
async fn running() -> Bed {
    let mut bed = Bed::new().await;
    bed.settle(&application()).await;
    let of_all = WhichLogs {
        all: true,
        ..which()
    };
    for _ in 0..150 {
        let told = logs(&bed, &bed.client, &of_all).await.expect("logs");
        let written = told.logs.iter().filter(|log| !log.lines.is_empty());
        let waiting = told.logs.iter().filter(|log| log.failure.is_some());
        if written.count() == 2 && waiting.count() == 1 {
            return bed;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{:?}", logs(&bed, &bed.client, &of_all).await);
}

fn which() -> WhichLogs {
    WhichLogs {
        all: false,
        container: None,
        tail: LOG_LINES,
        previous: false,
    }
}

async fn logs(bed: &Bed, client: &kube::Client, which: &WhichLogs) -> Result<StackLogs, Error> {
    let contents = [Arc::from(application())];
    bed.looks_of(client)
        .logs(bed.stack.id(), &contents, which)
        .await
}

async fn told(bed: &Bed, which: WhichLogs) -> StackLogs {
    logs(bed, &bed.client, &which).await.expect("logs")
}

fn of<'a>(logs: &'a StackLogs, workload: &str) -> &'a ContainerLog {
    let mut all = logs.logs.iter();
    let found = all.find(|log| log.pod.starts_with(workload));
    found.unwrap_or_else(|| panic!("none of {workload}: {logs:#?}"))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn what_fails_is_told_with_the_run_before_and_without_secrets() {
    let bed = running().await;
    let failing = told(&bed, which()).await;
    assert_eq!(failing.logs.len(), 2, "{failing:#?}");
    assert!(
        failing.remarks.is_empty() && failing.more == 0,
        "{failing:?}"
    );
    let fails = of(&failing, "fails");
    assert!(fails.previous && !fails.is_cut && fails.failure.is_none());
    assert_eq!(fails.container, "main");
    assert_eq!(fails.namespace, bed.namespace);
    let lines = [
        "previously: begins",
        "previously: no entry with [redacted]",
        "previously: ends",
    ];
    assert_eq!(fails.lines, lines);
    let never = of(&failing, "never");
    assert!(never.lines.is_empty());
    assert_eq!(
        never.failure.as_deref(),
        Some("it has not run yet: ImagePullBackOff")
    );

    let all = WhichLogs {
        all: true,
        tail: LogLines::new(2).expect("a number"),
        ..which()
    };
    let all = told(&bed, all).await;
    let well = of(&all, "well");
    assert!(!well.previous);
    assert_eq!(well.lines, ["served [redacted]", "ends"]);

    let previous = WhichLogs {
        all: true,
        previous: true,
        ..which()
    };
    let previous = told(&bed, previous).await;
    assert_eq!(of(&previous, "fails").lines, lines);
    let reason = of(&previous, "well").failure.as_deref();
    assert_eq!(reason, Some("it has not run before"));

    let other = WhichLogs {
        all: true,
        container: Some("other".to_owned()),
        ..which()
    };
    assert!(told(&bed, other).await.logs.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn logs_take_a_right_of_their_own_which_is_named_where_it_is_missing() {
    let bed = running().await;
    let manifests = manifest::parse(&application(), Some(&bed.namespace)).expect("manifests");
    let namespace = Some(bed.namespace.as_str());
    let least = Access::least(&manifests, namespace, false);
    let told_with = async |access: &Access, name: &str| {
        let user = format!("{name}-{}", bed.namespace);
        let records =
            json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]);
        bed.may_within(bed.records_namespace(), &user, &records)
            .await;
        for (namespace, rules) in &access.rules {
            let namespace = namespace.as_deref().expect("a namespace");
            bed.may_within(namespace, &user, &json!(rules)).await;
        }
        let client = bed.client_of(&user).await;
        logs(&bed, &client, &which()).await.expect("logs")
    };
    let without = told_with(&least, "least").await;
    let rule = r#"{apiGroups: [""], resources: [pods/log], verbs: [get]}"#;
    assert!(
        without.remarks.len() == 1 && without.remarks[0].contains(rule),
        "{without:#?}"
    );
    // What was not to be read anyway is told.
    assert_eq!(without.logs.len(), 1, "{without:#?}");
    let access = least.answering(RequestKind::Logs, &manifests, namespace);
    let with = told_with(&access, "more").await;
    assert!(with.remarks.is_empty(), "{with:#?}");
    assert_eq!(of(&with, "fails").lines.len(), 3);
}
