//! How an object is doing, from its own status: the rules that `kubectl wait` and its relatives have
//! in common (kstatus), for built-in kinds, and conditions for custom ones.

mod pods;
mod selection;
mod workloads;

use serde_json::Value;

use crate::object::ObjectKey;
use crate::wire::Health;

pub use pods::{explain, judge as of_pod};
pub use selection::Selection;

/// How an object is doing, and why if it is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Readiness {
    /// How it is doing.
    pub health: Health,
    /// Why, for people.
    pub reason: Option<String>,
}

impl Readiness {
    /// An object that is as it should be.
    pub const CURRENT: Self = Self {
        health: Health::Current,
        reason: None,
    };

    /// An object that should be there and is not.
    pub fn missing() -> Self {
        Self::degraded("is missing")
    }

    /// An object that cannot be looked at, and why.
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self {
            health: Health::Unknown,
            reason: Some(reason.into()),
        }
    }

    fn progressing(reason: impl Into<String>) -> Self {
        Self {
            health: Health::Progressing,
            reason: Some(reason.into()),
        }
    }

    fn degraded(reason: impl Into<String>) -> Self {
        Self {
            health: Health::Degraded,
            reason: Some(reason.into()),
        }
    }
}

/// Whether objects of this kind become what they should be only after they were written.
/// All others are as they should be once they exist.
pub fn takes_time(key: &ObjectKey) -> bool {
    match key.group.as_str() {
        "" => matches!(
            key.kind.as_str(),
            "Pod" | "PersistentVolumeClaim" | "ReplicationController"
        ),
        "apps" => key.kind != "ControllerRevision",
        "batch" => key.kind == "Job",
        "apiextensions.k8s.io" | "apiregistration.k8s.io" => true,
        group => !is_built_in(group),
    }
}

/// Groups of Kubernetes itself have no dot, or end with `.k8s.io`; the latter also serve definitions of
/// projects around it (Gateway API), which have conditions, but of many meanings.
fn is_built_in(group: &str) -> bool {
    !group.contains('.') || group.ends_with(".k8s.io")
}

/// Judges an object.
pub fn judge(key: &ObjectKey, object: &Value) -> Readiness {
    if object.pointer("/metadata/deletionTimestamp").is_some() {
        return Readiness::progressing(going(object));
    }
    if let Some(stale) = not_seen_yet(object) {
        return stale;
    }
    match (key.group.as_str(), key.kind.as_str()) {
        ("apps", "Deployment") => workloads::deployment(object),
        ("apps", "StatefulSet") => workloads::stateful_set(object),
        ("apps", "DaemonSet") => workloads::daemon_set(object),
        ("apps", "ReplicaSet") | ("", "ReplicationController") => workloads::replica_set(object),
        ("", "Pod") => pods::judge(object),
        ("batch", "Job") => workloads::job(object),
        ("", "PersistentVolumeClaim") => claim(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        ("apiregistration.k8s.io", "APIService") => must_hold(object, "Available"),
        (group, _) if is_built_in(group) => Readiness::CURRENT,
        _ => by_conditions(object),
    }
}

/// What still holds back an object that somebody deleted.
fn going(object: &Value) -> String {
    let finalizers = object
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array);
    let names: Vec<_> = finalizers
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if names.is_empty() {
        return "is being deleted".to_owned();
    }
    format!("is being deleted (finalizers {})", names.join(", "))
}

/// A status about an older generation says nothing about this one.
fn not_seen_yet(object: &Value) -> Option<Readiness> {
    let observed = number(object, "/status/observedGeneration")?;
    let generation = number(object, "/metadata/generation")?;
    (observed < generation)
        .then(|| Readiness::progressing("its controller has not seen this version yet"))
}

/// A claim of a class that binds late waits for its first pod, which is as it should be; the object itself
/// does not tell, so a pending claim never holds a stack back, but a lost one does.
fn claim(object: &Value) -> Readiness {
    match text(object, "/status/phase") {
        Some("Lost") => Readiness::degraded("its volume is lost"),
        _ => Readiness::CURRENT,
    }
}

fn definition(object: &Value) -> Readiness {
    match condition(object, "NamesAccepted") {
        Some(names) if names.status == "False" => {
            Readiness::degraded(names.words("its names are not accepted"))
        }
        _ => must_hold(object, "Established"),
    }
}

fn must_hold(object: &Value, kind: &str) -> Readiness {
    match condition(object, kind) {
        Some(condition) if condition.status == "True" => Readiness::CURRENT,
        Some(condition) => Readiness::progressing(condition.words(&format!("is not {kind}"))),
        None => Readiness::progressing(format!("is not {kind} yet")),
    }
}

/// Custom resources: what their controller says in the conditions that most controllers use.
/// An object without any may have no controller at all, and is what it should be.
fn by_conditions(object: &Value) -> Readiness {
    for (kind, judgement) in [
        ("Stalled", Readiness::degraded as fn(String) -> Readiness),
        ("Reconciling", Readiness::progressing),
    ] {
        if let Some(condition) = condition(object, kind)
            && condition.status == "True"
        {
            return judgement(condition.words(&format!("is {kind}")));
        }
    }
    let verdict = ["Ready", "Available"]
        .into_iter()
        .find_map(|kind| Some((kind, condition(object, kind)?)));
    match verdict {
        Some((kind, condition)) if condition.status != "True" => {
            Readiness::progressing(condition.words(&format!("is not {kind}")))
        }
        _ => Readiness::CURRENT,
    }
}

struct Condition<'a> {
    status: &'a str,
    reason: Option<&'a str>,
    message: Option<&'a str>,
}

impl Condition<'_> {
    fn words(&self, otherwise: &str) -> String {
        match (self.reason, self.message) {
            (Some(reason), Some(message)) => format!("{reason}: {message}"),
            (Some(words), None) | (None, Some(words)) => words.to_owned(),
            (None, None) => otherwise.to_owned(),
        }
    }
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<Condition<'a>> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    let condition = conditions
        .iter()
        .find(|condition| text(condition, "/type") == Some(kind))?;
    Some(Condition {
        status: text(condition, "/status")?,
        reason: text(condition, "/reason").filter(|text| !text.is_empty()),
        message: text(condition, "/message").filter(|text| !text.is_empty()),
    })
}

fn number(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer)?.as_i64()
}

fn text<'a>(object: &'a Value, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer)?.as_str()
}

#[cfg(test)]
mod tests;
