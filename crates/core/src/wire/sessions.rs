use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::cluster_uid::ClusterUid;

/// What an agent says of itself when it begins to act.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct OpenSession {
    /// The cluster that it runs for.
    pub cluster: ClusterUid,
    /// Its version.
    #[schema(max_length = 64)]
    pub version: String,
    /// What it understands in target state entries (`requires`), and which requests it answers.
    #[serde(default)]
    #[schema(max_items = 100)]
    pub features: Vec<String>,
}

/// A session of an agent: requests of an older one are refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct OpenedSession {
    /// Its number, greater than those of all earlier sessions of this agent.
    pub session: u64,
}
