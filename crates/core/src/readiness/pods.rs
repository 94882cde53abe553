//! What pods say: about themselves, and about the workload whose pods they are.

use serde_json::Value;

use super::{Readiness, condition, number, text};
use crate::wire::Health;

/// A container that failed so often does not fail by accident: from here on the kubelet lets it wait longer each time.
const TELLING_RESTARTS: i64 = 3;
/// Messages of container runtimes repeat themselves with every layer that they passed.
const LONGEST_MESSAGE: usize = 200;

/// What a container waits for that does not come by itself: somebody has to mend the pod, the image or what it mounts.
const STUCK: [&str; 9] = [
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImageInspectError",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
];

/// Judges a pod.
pub fn judge(pod: &Value) -> Readiness {
    match text(pod, "/status/phase") {
        Some("Succeeded") => Readiness::CURRENT,
        Some("Failed") => Readiness::degraded(failure(pod)),
        _ => match condition(pod, "Ready") {
            Some(ready) if ready.status == "True" => Readiness::CURRENT,
            _ => waiting(pod),
        },
    }
}

/// Says of a workload that is not as it should be what its pods say. `is_retried` tells that pods that failed are
/// replaced by others, as those of a job are: they are no verdict on the workload.
pub fn explain(workload: Readiness, pods: &[Value], is_retried: bool) -> Readiness {
    let mut worst: Option<(&Value, Readiness)> = None;
    let mut alike = 0;
    let stay = |pod: &&Value| pod.pointer("/metadata/deletionTimestamp").is_none();
    for pod in pods.iter().filter(stay) {
        let mut said = judge(pod);
        if is_retried && text(pod, "/status/phase") == Some("Failed") {
            said.health = Health::Progressing;
        }
        match &worst {
            _ if said.health == Health::Current => {}
            Some((_, worst)) if said.health < worst.health => {}
            Some((_, worst)) if said.health == worst.health => alike += 1,
            _ => {
                worst = Some((pod, said));
                alike = 0;
            }
        }
    }
    let Some((pod, said)) = worst else {
        return workload;
    };
    let name = text(pod, "/metadata/name").unwrap_or_default();
    let mut words: Vec<String> = workload.reason.into_iter().collect();
    words.push(format!("pod {name}: {}", said.reason.unwrap_or_default()));
    if alike > 0 {
        words.push(format!("{alike} other pods wait, too"));
    }
    Readiness {
        health: workload.health.max(said.health),
        reason: Some(words.join("; ")),
    }
}

/// Why a pod failed: in its own words, or by the container that failed.
fn failure(pod: &Value) -> String {
    let said = text(pod, "/status/message").or_else(|| text(pod, "/status/reason"));
    let ended = || containers(pod).find_map(|container| ended(container, "/state/terminated"));
    said.map(shortened)
        .or_else(ended)
        .unwrap_or_else(|| "its containers have failed".to_owned())
}

fn waiting(pod: &Value) -> Readiness {
    if let Some(scheduled) = condition(pod, "PodScheduled")
        && scheduled.reason == Some("Unschedulable")
    {
        return Readiness::degraded(scheduled.words("it cannot be scheduled"));
    }
    let said = containers(pod).filter_map(container);
    // The first of those that are worst: init containers stand before those that wait for them.
    said.reduce(|worst, other| {
        if other.health > worst.health {
            other
        } else {
            worst
        }
    })
    .unwrap_or_else(|| Readiness::progressing("it is not ready yet"))
}

/// The states of all containers, in the order in which they begin.
fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["/status/initContainerStatuses", "/status/containerStatuses"]
        .into_iter()
        .filter_map(|statuses| pod.pointer(statuses)?.as_array())
        .flatten()
}

/// What a container says, unless it is at work or done.
fn container(status: &Value) -> Option<Readiness> {
    let name = text(status, "/name").unwrap_or_default();
    if let Some(reason) = text(status, "/state/waiting/reason") {
        let what = format!("container {name} is in {reason}");
        let ended = ended(status, "/lastState/terminated");
        let message = text(status, "/state/waiting/message").filter(|text| !text.is_empty());
        let message = message.map(shortened);
        // The message of a crash loop only says how long it waits.
        let why = match reason {
            "CrashLoopBackOff" => ended.or(message),
            _ => message.or(ended),
        };
        let words = why.map_or(what.clone(), |why| format!("{what}: {why}"));
        return Some(if STUCK.contains(&reason) {
            Readiness::degraded(words)
        } else {
            Readiness::progressing(words)
        });
    }
    if let Some(ended) = ended(status, "/state/terminated") {
        return Some(Readiness::degraded(format!("container {name} {ended}")));
    }
    let is_ready = status.pointer("/ready").and_then(Value::as_bool) == Some(true);
    let ended = ended(status, "/lastState/terminated").filter(|_| !is_ready)?;
    let restarts = number(status, "/restartCount").unwrap_or(0);
    let words = format!("container {name} was restarted {restarts} times; it {ended}");
    Some(if restarts < TELLING_RESTARTS {
        Readiness::progressing(words)
    } else {
        Readiness::degraded(words)
    })
}

/// How a container ended, if it failed. Not by the message that it left, which is its own and may be anything.
fn ended(status: &Value, state: &str) -> Option<String> {
    let terminated = status.pointer(state)?;
    let code = number(terminated, "/exitCode").filter(|code| *code != 0)?;
    Some(match text(terminated, "/reason") {
        Some(reason) if reason != "Error" => format!("ended with exit code {code} ({reason})"),
        _ => format!("ended with exit code {code}"),
    })
}

fn shortened(message: &str) -> String {
    match message.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, container: &Value) -> Value {
        json!({"metadata": {"name": name}, "status": {"phase": "Running", "containerStatuses": [container]}})
    }

    fn looping(name: &str) -> Value {
        let ended = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
        let state = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}});
        pod(
            name,
            &json!({"name": "main", "state": state, "lastState": ended}),
        )
    }

    fn said(container: &Value) -> (Health, String) {
        let said = judge(&pod("a", container));
        (said.health, said.reason.unwrap_or_default())
    }

    #[test]
    fn a_container_says_why_it_does_not_run() {
        let failed = json!({"terminated": {"exitCode": 1, "reason": "Error"}});
        let running = json!({"running": {}});
        let waits = |reason: &str, message: &str| {
            let waiting = json!({"reason": reason, "message": message});
            json!({"name": "main", "state": {"waiting": waiting}})
        };
        let restarted = |times: i64| json!({"name": "main", "state": running, "lastState": failed, "restartCount": times});
        let cases = [
            (
                waits("ImagePullBackOff", "no such image"),
                Health::Degraded,
                "container main is in ImagePullBackOff: no such image",
            ),
            (
                waits("CreateContainerConfigError", "configmap \"a\" not found"),
                Health::Degraded,
                "container main is in CreateContainerConfigError: configmap \"a\" not found",
            ),
            (
                waits("ContainerCreating", ""),
                Health::Progressing,
                "container main is in ContainerCreating",
            ),
            (
                json!({"name": "main", "state": failed}),
                Health::Degraded,
                "container main ended with exit code 1",
            ),
            (
                restarted(2),
                Health::Progressing,
                "container main was restarted 2 times; it ended with exit code 1",
            ),
            (
                restarted(3),
                Health::Degraded,
                "container main was restarted 3 times; it ended with exit code 1",
            ),
            (
                json!({"name": "main", "state": running}),
                Health::Progressing,
                "it is not ready yet",
            ),
        ];
        for (container, health, words) in cases {
            assert_eq!(said(&container), (health, words.to_owned()));
        }
        let loops = judge(&looping("a")).reason;
        let words = "container main is in CrashLoopBackOff: ended with exit code 137 (OOMKilled)";
        assert_eq!(loops.as_deref(), Some(words));
        let long = said(&waits("ErrImagePull", &"ä".repeat(1_000))).1;
        assert!(long.chars().count() < 300 && long.ends_with('…'), "{long}");
    }

    #[test]
    fn an_init_container_speaks_before_those_that_wait_for_it() {
        let init = json!({"name": "first", "state": {"waiting": {"reason": "ImagePullBackOff"}}});
        let main = json!({"name": "main", "state": {"waiting": {"reason": "PodInitializing"}}});
        let said = judge(&json!({"status": {
            "phase": "Pending", "initContainerStatuses": [init], "containerStatuses": [main],
        }}));
        assert_eq!(said.health, Health::Degraded);
        let reason = said.reason.unwrap_or_default();
        assert!(reason.contains("container first"), "{reason}");
    }

    #[test]
    fn the_worst_pod_speaks_for_its_workload() {
        let waits = |name| {
            pod(
                name,
                &json!({"name": "main", "state": {"waiting": {"reason": "ContainerCreating"}}}),
            )
        };
        let mut going = looping("old");
        going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let workload = || Readiness::progressing("0 of 3 replicas are available");
        let pods = [waits("a"), looping("b"), looping("c"), going.clone()];
        let said = explain(workload(), &pods, false);
        assert_eq!(said.health, Health::Degraded);
        insta::assert_snapshot!(said.reason.unwrap_or_default(), @"0 of 3 replicas are available; pod b: container main is in CrashLoopBackOff: ended with exit code 137 (OOMKilled); 1 other pods wait, too");
        assert_eq!(explain(workload(), &[going], false), workload());
        assert_eq!(explain(workload(), &[], false), workload());
    }

    #[test]
    fn a_failed_pod_of_a_job_is_no_verdict() {
        let ended = json!({"name": "main", "state": {"terminated": {"exitCode": 3}}});
        let mut failed = pod("a", &ended);
        failed["status"]["phase"] = json!("Failed");
        let pods = [failed];
        let job = || Readiness::progressing("1 of its pods are running");
        let said = explain(job(), &pods, true);
        assert_eq!(said.health, Health::Progressing);
        let reason = said.reason.unwrap_or_default();
        assert!(
            reason.ends_with("pod a: ended with exit code 3"),
            "{reason}"
        );
        assert_eq!(explain(job(), &pods, false).health, Health::Degraded);
    }
}
