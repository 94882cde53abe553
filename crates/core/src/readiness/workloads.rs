//! The kinds that run something.

use serde_json::Value;

use super::{Readiness, condition, number, text};

fn count(object: &Value, field: &str) -> i64 {
    number(object, &format!("/status/{field}")).unwrap_or(0)
}

fn wanted(object: &Value) -> i64 {
    number(object, "/spec/replicas").unwrap_or(1)
}

/// The controllers of `apps` write `observedGeneration`; without it they have not looked yet.
fn is_unseen(object: &Value) -> bool {
    number(object, "/status/observedGeneration").is_none()
}

const UNSEEN: &str = "its controller has not seen it yet";

pub(super) fn deployment(object: &Value) -> Readiness {
    if is_unseen(object) {
        return Readiness::progressing(UNSEEN);
    }
    if let Some(progress) = condition(object, "Progressing")
        && progress.reason == Some("ProgressDeadlineExceeded")
    {
        return Readiness::degraded(progress.words("its progress deadline is exceeded"));
    }
    if let Some(failure) = condition(object, "ReplicaFailure")
        && failure.status == "True"
    {
        return Readiness::degraded(failure.words("its pods cannot be created"));
    }
    let wanted = wanted(object);
    let (updated, replicas, available) = (
        count(object, "updatedReplicas"),
        count(object, "replicas"),
        count(object, "availableReplicas"),
    );
    if updated < wanted {
        return Readiness::progressing(format!("{updated} of {wanted} replicas are updated"));
    }
    if replicas > updated {
        let old = replicas - updated;
        return Readiness::progressing(format!("{old} old replicas are still there"));
    }
    if available < wanted {
        return Readiness::progressing(format!("{available} of {wanted} replicas are available"));
    }
    Readiness::CURRENT
}

pub(super) fn stateful_set(object: &Value) -> Readiness {
    if is_unseen(object) {
        return Readiness::progressing(UNSEEN);
    }
    let wanted = wanted(object);
    let ready = count(object, "readyReplicas");
    if ready < wanted {
        return Readiness::progressing(format!("{ready} of {wanted} replicas are ready"));
    }
    if text(object, "/spec/updateStrategy/type") == Some("OnDelete") {
        return Readiness::CURRENT;
    }
    // Pods below the partition keep the old version on purpose.
    let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0);
    let due = (wanted - partition).max(0);
    let updated = count(object, "updatedReplicas");
    if updated < due {
        return Readiness::progressing(format!("{updated} of {due} replicas are updated"));
    }
    Readiness::CURRENT
}

pub(super) fn daemon_set(object: &Value) -> Readiness {
    if is_unseen(object) {
        return Readiness::progressing(UNSEEN);
    }
    let wanted = count(object, "desiredNumberScheduled");
    let updated = count(object, "updatedNumberScheduled");
    let available = count(object, "numberAvailable");
    let on_delete = text(object, "/spec/updateStrategy/type") == Some("OnDelete");
    if updated < wanted && !on_delete {
        return Readiness::progressing(format!("{updated} of {wanted} pods are updated"));
    }
    if available < wanted {
        return Readiness::progressing(format!("{available} of {wanted} pods are available"));
    }
    Readiness::CURRENT
}

pub(super) fn replica_set(object: &Value) -> Readiness {
    if is_unseen(object) {
        return Readiness::progressing(UNSEEN);
    }
    if let Some(failure) = condition(object, "ReplicaFailure")
        && failure.status == "True"
    {
        return Readiness::degraded(failure.words("its pods cannot be created"));
    }
    let wanted = wanted(object);
    let available = count(object, "availableReplicas");
    if available < wanted {
        return Readiness::progressing(format!("{available} of {wanted} replicas are available"));
    }
    Readiness::CURRENT
}

/// A job that runs is on its way, not done: what waits for a stack waits for its jobs.
pub(super) fn job(object: &Value) -> Readiness {
    for (kind, is_good) in [("Failed", false), ("Complete", true), ("Suspended", true)] {
        if let Some(condition) = condition(object, kind)
            && condition.status == "True"
        {
            return if is_good {
                Readiness::CURRENT
            } else {
                Readiness::degraded(condition.words("it has failed"))
            };
        }
    }
    let (active, failed) = (count(object, "active"), count(object, "failed"));
    let so_far = match failed {
        0 => String::new(),
        failed => format!(", {failed} have failed so far"),
    };
    Readiness::progressing(format!("{active} of its pods are running{so_far}"))
}
