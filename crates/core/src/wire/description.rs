use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::targets::Health;
use crate::object::ObjectKey;

/// What a stack has in one cluster, as it is now. Values of the stack's Secrets read as `[redacted]`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Description {
    /// The objects that the agent owns for the stack, at most 500; those that are worst first.
    pub objects: Vec<DescribedObject>,
    /// How many more there are.
    #[serde(default)]
    pub more: u64,
    /// What could not be seen or was left out, and what to do, in words for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// An object, how it is doing, and of a workload that is not well what its pods say.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct DescribedObject {
    /// The object.
    pub object: ObjectKey,
    /// How it is doing.
    pub health: Health,
    /// Why, if it is not well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The pods of its newest version, at most 10; those that are worst first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pods: Vec<DescribedPod>,
    /// How many more there are.
    #[serde(default)]
    pub more_pods: u64,
    /// What Kubernetes told lately about it and these pods, the newest first, at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<KubernetesEvent>,
    /// How many more there are.
    #[serde(default)]
    pub more_events: u64,
}

/// A pod.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct DescribedPod {
    /// Its name, in the workload's namespace.
    pub name: String,
    /// Its phase, such as `Pending`; `Terminating` if it is being deleted.
    pub phase: String,
    /// How it is doing.
    pub health: Health,
    /// Why, if it is not well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its containers in the order in which they begin, at most 20.
    pub containers: Vec<DescribedContainer>,
    /// How many more there are.
    #[serde(default)]
    pub more_containers: u64,
}

/// A container of a pod.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct DescribedContainer {
    /// Its name.
    pub name: String,
    /// The image that was asked for.
    pub image: String,
    /// Whether it runs before the others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub init: bool,
    /// What it does.
    pub state: ContainerState,
    /// Why, such as `CrashLoopBackOff`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it is ready.
    pub ready: bool,
    /// How often it was begun again.
    pub restarts: u64,
    /// How it ended last, if it ever did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit_code: Option<i64>,
}

/// What a container does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContainerState {
    /// It is not begun yet, or not again.
    Waiting,
    /// It runs.
    Running,
    /// It has ended.
    Terminated,
    /// Its node says nothing of it, or something that this version does not know.
    #[serde(other)]
    Unknown,
}

/// An Event of Kubernetes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct KubernetesEvent {
    /// What it is about, as `Pod web-1`.
    pub about: String,
    /// `Normal` or `Warning`.
    pub severity: String,
    /// Its reason, such as `BackOff`.
    pub reason: String,
    /// Its words.
    pub message: String,
    /// How often it happened.
    pub count: u64,
    /// When it happened last, if it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
}
