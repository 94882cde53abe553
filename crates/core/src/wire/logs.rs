use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::bounded::Bounded;

/// How many of the last lines of a container's log are asked for.
pub type LogLines = Bounded<1, 1_000>;

/// As many as say what went wrong, mostly.
pub const LOG_LINES: LogLines = match LogLines::new(50) {
    Ok(lines) => lines,
    Err(_) => panic!("it lies within the bounds"),
};

pub(super) const fn log_lines() -> LogLines {
    LOG_LINES
}

/// Which logs of a stack are asked for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct WhichLogs {
    /// Those of all pods, not only of those that are not ready.
    #[serde(default)]
    pub all: bool,
    /// Only those of containers with this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// How many of the last lines of each.
    #[serde(default = "log_lines")]
    pub tail: LogLines,
    /// Those of the run before the present one.
    #[serde(default)]
    pub previous: bool,
}

/// What the containers of a stack wrote last. Values of the stack's Secrets read as `[redacted]`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct StackLogs {
    /// The logs, at most 40 of at most 20 pods; those of the pods that are worst first.
    pub logs: Vec<ContainerLog>,
    /// How many more there are.
    #[serde(default)]
    pub more: u64,
    /// What could not be seen or was left out, and what to do, in words for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// What a container wrote last.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ContainerLog {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The container's name.
    pub container: String,
    /// Whether it is of the run before the present one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub previous: bool,
    /// The lines, the newest last.
    #[serde(default)]
    pub lines: Vec<String>,
    /// Whether older lines that were asked for are left out, because all together are too long.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_cut: bool,
    /// Why there are no lines, if they could not be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}
