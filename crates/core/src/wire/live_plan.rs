use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::object::ObjectKey;

/// What a content would change in one cluster, as far as the cluster can tell before it happens.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct LivePlan {
    /// The objects to which something would happen, at most 500.
    pub objects: Vec<PlannedObject>,
    /// How many more there are.
    #[serde(default)]
    pub more: u64,
    /// How many would stay as they are.
    pub unchanged: u64,
}

impl LivePlan {
    /// Whether the cluster is as the content wants it.
    pub fn is_nothing(&self) -> bool {
        self.objects.is_empty() && self.more == 0
    }
}

/// What would happen to one object.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct PlannedObject {
    /// The object.
    pub object: ObjectKey,
    /// What would happen.
    pub action: PlannedAction,
    /// Why, or what is to be known of it, in words for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The fields that would change, at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<PlannedField>,
    /// How many more there are.
    #[serde(default)]
    pub more_fields: u64,
}

/// What would happen to an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlannedAction {
    /// It would be made.
    Create,
    /// Fields of it would change.
    Change,
    /// It cannot be changed so: it would be deleted and made anew.
    Recreate,
    /// It is somebody else's and would be taken over.
    Adopt,
    /// The content no longer has it: it would be deleted.
    Prune,
    /// The content no longer has it: it would stay, and be nobody's.
    Keep,
    /// It is somebody else's: nothing at all would be applied.
    Conflict,
    /// The cluster or its rules refuse it: nothing at all would be applied.
    Refuse,
    /// It is being deleted, which would be waited for.
    Wait,
    /// Something that this version does not know.
    #[serde(other)]
    Unknown,
}

/// One field that would change.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct PlannedField {
    /// Which, as `spec.containers[0].image`.
    pub path: String,
    /// Its value; absent if it has none, or if it is hidden. Long values are cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The value that it would have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// Whether the values stay in the cluster, because it is a secret's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
}
