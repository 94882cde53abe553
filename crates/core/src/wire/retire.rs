use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What becomes of what an agent runs when it is retired.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Workloads {
    /// Each stack is removed, as its own policy says.
    Remove,
    /// Everything stays in the cluster, and is nobody's from then on.
    Keep,
}
