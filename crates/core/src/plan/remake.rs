use serde_json::{Map, Value};

use super::{HELM_POLICY_ANNOTATION, Judge, Keep, Live, Memory, PRUNE_ANNOTATION};
use crate::mutant::Mutant;
use crate::object::ObjectKey;

/// With the value `enabled`, an object is deleted and created anew when it cannot be changed as its manifest wants it.
pub const RECREATE_ANNOTATION: &str = "brokkr.io/recreate";

/// What a manifest asks for by its annotations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wishes {
    /// To be made anew rather than not be changed.
    pub recreate: bool,
    /// Not to be deleted.
    pub stay: bool,
}

impl Wishes {
    /// The wishes of a manifest.
    pub fn of(manifest: &Map<String, Value>) -> Self {
        let annotations = manifest.get("metadata").and_then(|m| m.get("annotations"));
        let says = |key: &str, value: &str| {
            let said = annotations.and_then(|annotations| annotations.get(key)?.as_str());
            said == Some(value)
        };
        Self {
            recreate: says(RECREATE_ANNOTATION, "enabled"),
            stay: says(PRUNE_ANNOTATION, "disabled") || says(HELM_POLICY_ANNOTATION, "keep"),
        }
    }
}

/// Why an object that cannot be changed is not made anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Obstacle {
    /// Its manifest does not allow it.
    Unasked,
    /// The inventory is lost, and nothing is deleted.
    Lost,
    /// It would not be deleted if it were dropped either.
    Keep(Keep),
}

impl Judge<'_> {
    /// Whether an owned object that cannot be changed as its manifest wants it may be deleted and created anew.
    ///
    /// # Errors
    /// What forbids it.
    pub fn may_remake(self, key: &ObjectKey, wishes: Wishes, live: &Live) -> Result<(), Obstacle> {
        if !wishes.recreate && !Mutant::RecreateUnasked.is_on() {
            return Err(Obstacle::Unasked);
        }
        if self.memory == Memory::Lost {
            return Err(Obstacle::Lost);
        }
        if let Some(kind) = key.kept_kind() {
            return Err(Obstacle::Keep(Keep::Kind(kind)));
        }
        if wishes.stay || live.asks_to_stay {
            return Err(Obstacle::Keep(Keep::Asked));
        }
        if live.stack.as_deref() != Some(self.stack) {
            return Err(Obstacle::Keep(Keep::LabelGone));
        }
        Ok(())
    }
}
