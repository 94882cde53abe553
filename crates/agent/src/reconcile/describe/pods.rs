//! Pods, as their own status and specification tell of them.

use std::cmp::Reverse;

use brokkr_core::readiness;
use brokkr_core::wire::{ContainerState, DescribedContainer, DescribedPod};
use serde_json::Value;

use super::super::teller::Teller;

const MOST: usize = 10;
const MOST_CONTAINERS: usize = 20;

/// Those that are worst first, and how many more there are.
pub(super) fn described(pods: &[Value], teller: &Teller) -> (Vec<DescribedPod>, u64) {
    let mut judged: Vec<_> = pods
        .iter()
        .map(|pod| (pod, readiness::of_pod(pod)))
        .collect();
    judged.sort_by_cached_key(|(pod, readiness)| (Reverse(readiness.health), name(pod)));
    let more = judged.len().saturating_sub(MOST);
    judged.truncate(MOST);
    let told = judged.into_iter().map(|(pod, readiness)| {
        let (containers, more_containers) = containers(pod, teller);
        DescribedPod {
            name: name(pod),
            phase: teller.tell(phase(pod)),
            health: readiness.health,
            reason: readiness.reason.map(|reason| teller.tell(&reason)),
            containers,
            more_containers,
        }
    });
    (told.collect(), more as u64)
}

fn name(pod: &Value) -> String {
    text(pod, "/metadata/name").unwrap_or_default().to_owned()
}

/// As `kubectl` shows it.
fn phase(pod: &Value) -> &str {
    if pod.pointer("/metadata/deletionTimestamp").is_some() {
        return "Terminating";
    }
    text(pod, "/status/phase").unwrap_or("Unknown")
}

fn containers(pod: &Value, teller: &Teller) -> (Vec<DescribedContainer>, u64) {
    let of = |list: &'static str, statuses: &'static str, init: bool| {
        let specified = pod.pointer(list).and_then(Value::as_array);
        let specified = specified.into_iter().flatten();
        specified.map(move |container| {
            let name = text(container, "/name").unwrap_or_default();
            let statuses = pod.pointer(statuses).and_then(Value::as_array);
            let mut statuses = statuses.into_iter().flatten();
            let status = statuses.find(|status| text(status, "/name") == Some(name));
            (container, status, init)
        })
    };
    let first = of(
        "/spec/initContainers",
        "/status/initContainerStatuses",
        true,
    );
    let rest = of("/spec/containers", "/status/containerStatuses", false);
    let all: Vec<_> = first.chain(rest).collect();
    let more = all.len().saturating_sub(MOST_CONTAINERS);
    let told = all.into_iter().take(MOST_CONTAINERS);
    let told = told.map(|(container, status, init)| DescribedContainer {
        name: text(container, "/name").unwrap_or_default().to_owned(),
        image: teller.tell(text(container, "/image").unwrap_or_default()),
        init,
        ..state(status.unwrap_or(&Value::Null), teller)
    });
    (told.collect(), more as u64)
}

/// What a container's status says, without what its specification does.
fn state(status: &Value, teller: &Teller) -> DescribedContainer {
    let (state, at) = if status.pointer("/state/running").is_some() {
        (ContainerState::Running, "/state/running/reason")
    } else if status.pointer("/state/terminated").is_some() {
        (ContainerState::Terminated, "/state/terminated/reason")
    } else if status.pointer("/state/waiting").is_some() {
        (ContainerState::Waiting, "/state/waiting/reason")
    } else {
        (ContainerState::Unknown, "")
    };
    let exit_code = |at: &str| status.pointer(at).and_then(Value::as_i64);
    DescribedContainer {
        name: String::new(),
        image: String::new(),
        init: false,
        state,
        reason: text(status, at).map(|reason| teller.tell(reason)),
        ready: status.pointer("/ready").and_then(Value::as_bool) == Some(true),
        restarts: status
            .pointer("/restartCount")
            .and_then(Value::as_u64)
            .unwrap_or(0),
        last_exit_code: exit_code("/state/terminated/exitCode")
            .or_else(|| exit_code("/lastState/terminated/exitCode")),
    }
}

fn text<'a>(object: &'a Value, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer)?.as_str()
}
