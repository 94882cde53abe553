use serde_json::json;

use super::*;

fn key(group: &str, kind: &str) -> ObjectKey {
    ObjectKey {
        group: group.into(),
        kind: kind.into(),
        namespace: None,
        name: "a".into(),
    }
}

fn condition(kind: &str, status: &str, reason: &str) -> Value {
    json!({"type": kind, "status": status, "reason": reason, "message": "because"})
}

/// `group/kind`, spec, status → health and a part of the reason.
fn check(cases: &[(&str, &str, Value, Value, Health, &str)]) {
    for (group, kind, spec, status, health, reason) in cases {
        let object = json!({"metadata": {"generation": 2}, "spec": spec, "status": status});
        let readiness = judge(&key(group, kind), &object);
        assert_eq!(readiness.health, *health, "{kind} {status}: {readiness:?}");
        let given = readiness.reason.unwrap_or_default();
        assert!(given.contains(reason), "{kind} {status}: {given}");
        assert_eq!(given.is_empty(), *health == Health::Current, "{given}");
    }
}

use Health::{Current, Degraded, Progressing};

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn workloads() {
    let three = || json!({"replicas": 3});
    let none = || json!({});
    check(&[
        (
            "apps",
            "Deployment",
            three(),
            json!({}),
            Progressing,
            "not seen",
        ),
        (
            "apps",
            "Deployment",
            three(),
            json!({"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}),
            Progressing,
            "not seen",
        ),
        (
            "apps",
            "Deployment",
            three(),
            json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 1, "availableReplicas": 3}),
            Progressing,
            "1 of 3",
        ),
        (
            "apps",
            "Deployment",
            three(),
            json!({"observedGeneration": 2, "replicas": 4, "updatedReplicas": 3, "availableReplicas": 3}),
            Progressing,
            "1 old",
        ),
        (
            "apps",
            "Deployment",
            three(),
            json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 2}),
            Progressing,
            "2 of 3",
        ),
        (
            "apps",
            "Deployment",
            three(),
            json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}),
            Current,
            "",
        ),
        (
            "apps",
            "Deployment",
            json!({"replicas": 0}),
            json!({"observedGeneration": 2}),
            Current,
            "",
        ),
        (
            "apps",
            "Deployment",
            three(),
            json!({"observedGeneration": 2, "conditions": [condition("Progressing", "False", "ProgressDeadlineExceeded")]}),
            Degraded,
            "because",
        ),
        (
            "apps",
            "Deployment",
            three(),
            json!({"observedGeneration": 2, "conditions": [condition("ReplicaFailure", "True", "FailedCreate")]}),
            Degraded,
            "FailedCreate",
        ),
        (
            "apps",
            "StatefulSet",
            three(),
            json!({"observedGeneration": 2, "readyReplicas": 1}),
            Progressing,
            "1 of 3",
        ),
        (
            "apps",
            "StatefulSet",
            three(),
            json!({"observedGeneration": 2, "readyReplicas": 3, "updatedReplicas": 2}),
            Progressing,
            "2 of 3",
        ),
        (
            "apps",
            "StatefulSet",
            json!({"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 2}}}),
            json!({"observedGeneration": 2, "readyReplicas": 3, "updatedReplicas": 1}),
            Current,
            "",
        ),
        (
            "apps",
            "StatefulSet",
            json!({"replicas": 3, "updateStrategy": {"type": "OnDelete"}}),
            json!({"observedGeneration": 2, "readyReplicas": 3}),
            Current,
            "",
        ),
        (
            "apps",
            "DaemonSet",
            none(),
            json!({"observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 1}),
            Progressing,
            "1 of 2",
        ),
        (
            "apps",
            "DaemonSet",
            none(),
            json!({"observedGeneration": 2, "desiredNumberScheduled": 0}),
            Current,
            "",
        ),
        (
            "apps",
            "ReplicaSet",
            three(),
            json!({"observedGeneration": 2, "availableReplicas": 3}),
            Current,
            "",
        ),
        (
            "",
            "Pod",
            none(),
            json!({"phase": "Pending"}),
            Progressing,
            "not ready",
        ),
        (
            "",
            "Pod",
            none(),
            json!({"phase": "Running", "conditions": [condition("Ready", "True", "")]}),
            Current,
            "",
        ),
        (
            "",
            "Pod",
            none(),
            json!({"phase": "Succeeded"}),
            Current,
            "",
        ),
        (
            "",
            "Pod",
            none(),
            json!({"phase": "Failed"}),
            Degraded,
            "failed",
        ),
        (
            "",
            "Pod",
            none(),
            json!({"phase": "Pending", "conditions": [condition("PodScheduled", "False", "Unschedulable")]}),
            Degraded,
            "Unschedulable",
        ),
        (
            "",
            "Pod",
            none(),
            json!({"phase": "Running", "containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}),
            Degraded,
            "CrashLoopBackOff",
        ),
        (
            "",
            "Pod",
            none(),
            json!({"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]}),
            Progressing,
            "ContainerCreating",
        ),
        (
            "batch",
            "Job",
            none(),
            json!({"active": 1}),
            Progressing,
            "1 of its pods",
        ),
        (
            "batch",
            "Job",
            none(),
            json!({"conditions": [condition("Complete", "True", "")]}),
            Current,
            "",
        ),
        (
            "batch",
            "Job",
            none(),
            json!({"conditions": [condition("Failed", "True", "BackoffLimitExceeded")]}),
            Degraded,
            "BackoffLimitExceeded",
        ),
    ]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn everything_else() {
    let none = || json!({});
    check(&[
        ("", "ConfigMap", none(), none(), Current, ""),
        (
            "",
            "Service",
            json!({"type": "LoadBalancer"}),
            none(),
            Current,
            "",
        ),
        (
            "",
            "PersistentVolumeClaim",
            none(),
            json!({"phase": "Pending"}),
            Current,
            "",
        ),
        (
            "",
            "PersistentVolumeClaim",
            none(),
            json!({"phase": "Lost"}),
            Degraded,
            "lost",
        ),
        (
            "apiextensions.k8s.io",
            "CustomResourceDefinition",
            none(),
            none(),
            Progressing,
            "Established",
        ),
        (
            "apiextensions.k8s.io",
            "CustomResourceDefinition",
            none(),
            json!({"conditions": [condition("Established", "True", "")]}),
            Current,
            "",
        ),
        (
            "apiextensions.k8s.io",
            "CustomResourceDefinition",
            none(),
            json!({"conditions": [condition("NamesAccepted", "False", "PluralConflict")]}),
            Degraded,
            "PluralConflict",
        ),
        (
            "apiregistration.k8s.io",
            "APIService",
            none(),
            json!({"conditions": [condition("Available", "False", "MissingEndpoints")]}),
            Progressing,
            "MissingEndpoints",
        ),
        ("example.io", "Widget", none(), none(), Current, ""),
        (
            "example.io",
            "Widget",
            none(),
            json!({"observedGeneration": 1}),
            Progressing,
            "not seen",
        ),
        (
            "example.io",
            "Widget",
            none(),
            json!({"conditions": [condition("Ready", "False", "Waiting")]}),
            Progressing,
            "Waiting",
        ),
        (
            "example.io",
            "Widget",
            none(),
            json!({"conditions": [condition("Ready", "True", "")]}),
            Current,
            "",
        ),
        (
            "example.io",
            "Widget",
            none(),
            json!({"conditions": [condition("Available", "Unknown", "Asking")]}),
            Progressing,
            "Asking",
        ),
        (
            "example.io",
            "Widget",
            none(),
            json!({"conditions": [condition("Ready", "True", ""), condition("Reconciling", "True", "Upgrading")]}),
            Progressing,
            "Upgrading",
        ),
        (
            "example.io",
            "Widget",
            none(),
            json!({"conditions": [condition("Ready", "False", ""), condition("Stalled", "True", "NoQuota")]}),
            Degraded,
            "NoQuota",
        ),
    ]);
}

#[test]
fn what_is_being_deleted_is_not_there_for_good() {
    let object = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
    assert_eq!(judge(&key("", "ConfigMap"), &object).health, Progressing);
}

#[test]
fn only_kinds_with_a_life_of_their_own_are_watched() {
    for (group, kind) in [
        ("apps", "Deployment"),
        ("batch", "Job"),
        ("example.io", "Widget"),
    ] {
        assert!(takes_time(&key(group, kind)), "{kind}");
    }
    for (group, kind) in [
        ("", "ConfigMap"),
        ("batch", "CronJob"),
        ("rbac.authorization.k8s.io", "Role"),
        ("networking.k8s.io", "Ingress"),
    ] {
        assert!(!takes_time(&key(group, kind)), "{kind}");
    }
}
