//! What happened to an object, in words for people that hold no secret.

use brokkr_core::ObjectKey;
use brokkr_core::plan::{Claim, FIELD_MANAGER, Keep, Obstacle};
use brokkr_core::wire::{ObjectOutcome, ObjectResult};

use crate::error::{Error, Refusal};

pub(crate) fn plain(object: &ObjectKey, result: ObjectResult) -> ObjectOutcome {
    ObjectOutcome {
        object: object.clone(),
        result,
        reason: None,
    }
}

pub(crate) fn with(
    object: &ObjectKey,
    result: ObjectResult,
    reason: impl Into<String>,
) -> ObjectOutcome {
    ObjectOutcome {
        reason: Some(reason.into()),
        ..plain(object, result)
    }
}

pub(crate) fn remarked(
    object: &ObjectKey,
    result: ObjectResult,
    remarks: &[String],
) -> ObjectOutcome {
    ObjectOutcome {
        reason: (!remarks.is_empty()).then(|| remarks.join("; ")),
        ..plain(object, result)
    }
}

/// An object of somebody else has the name.
pub(crate) fn conflict(object: &ObjectKey, managers: &[String], claim: &Claim) -> ObjectOutcome {
    let by = if managers.is_empty() {
        String::new()
    } else {
        format!(" (written by {})", managers.join(", "))
    };
    let why = match claim {
        Claim::Unasked => {
            "it was not touched; delete it, rename one of the two, or let the stack take it over: `brokkr stack set STACK --adopt if-identical`".to_owned()
        }
        Claim::Labelled(stack) => format!(
            "it carries the label of stack {stack}, and what is another stack's is never taken; if that stack is gone, take the label brokkr.io/stack off it"
        ),
        Claim::Recorded(stack) => format!(
            "stack {stack} owns it, and what is another stack's is never taken: drop it there first"
        ),
        Claim::Different(paths) => format!(
            "it was not touched, because it is not as the manifest has it in {}; make the two the same, or let the stack take over whatever is there: `brokkr stack set STACK --adopt always`",
            paths.join(", ")
        ),
        Claim::Busy => "it changed while it was looked at; it is looked at again".to_owned(),
        Claim::Untried(reason) => {
            format!("whether it is as the manifest has it cannot be told: {reason}")
        }
    };
    with(
        object,
        ObjectResult::Conflict,
        format!("it exists and is not this stack's{by}: {why}"),
    )
}

/// From whom an object was taken over.
pub(crate) fn adopted(managers: &[String]) -> String {
    let others: Vec<_> = managers
        .iter()
        .map(String::as_str)
        .filter(|manager| *manager != FIELD_MANAGER)
        .collect();
    if others.is_empty() {
        "adopted".to_owned()
    } else {
        format!("adopted from {}", others.join(", "))
    }
}

/// An object is being deleted.
pub(crate) fn being_deleted(finalizers: &[String]) -> String {
    if finalizers.is_empty() {
        "it is being deleted".to_owned()
    } else {
        format!("it is being deleted (finalizers {})", finalizers.join(", "))
    }
}

/// An object stays although nothing wants it any more.
pub(crate) fn kept(object: &ObjectKey, keep: Keep) -> ObjectOutcome {
    let reason = match keep {
        Keep::Kind(kind) => {
            format!("a {kind} is deleted only if the change that drops it allows that")
        }
        Keep::Asked => "its annotation asks for it".to_owned(),
        Keep::LabelGone => "its label no longer names this stack".to_owned(),
    };
    with(object, ObjectResult::Kept, reason)
}

/// An object stays because somebody refused its loss.
pub(crate) fn refused(object: &ObjectKey) -> ObjectOutcome {
    with(object, ObjectResult::Kept, "its loss was refused")
}

/// An object stays until somebody decides.
pub(crate) fn held(object: &ObjectKey) -> ObjectOutcome {
    let reason = "its deletion is held until somebody approves or refuses it";
    with(object, ObjectResult::Skipped, reason)
}

/// Some fields of an object keep the values that it was created with.
pub(crate) fn immutable(
    object: &ObjectKey,
    fields: &[String],
    obstacle: Option<Obstacle>,
) -> ObjectOutcome {
    let cure = match obstacle {
        None => "it is deleted and created again at the next attempt".to_owned(),
        Some(Obstacle::Unasked) => "set the annotation brokkr.io/recreate: enabled on it to let the agent delete and create it again, or publish it under another name".to_owned(),
        Some(Obstacle::Lost) => {
            "it is not deleted, because the stack's inventory in the cluster is lost".to_owned()
        }
        Some(Obstacle::Keep(Keep::Kind(kind))) => {
            format!("a {kind} is never deleted for that: put the field back, or publish it under another name")
        }
        Some(Obstacle::Keep(Keep::Asked)) => "it asks not to be deleted: put the field back, or publish it under another name".to_owned(),
        Some(Obstacle::Keep(Keep::LabelGone)) => "it is not deleted, because its label no longer names this stack".to_owned(),
    };
    let reason = format!("{} cannot be changed: {cure}", fields.join(", "));
    with(object, ObjectResult::Invalid, reason)
}

/// A write or a dry run did not work, or was not tried any more.
pub(crate) fn failed(object: &ObjectKey, error: &Error) -> ObjectOutcome {
    if matches!(error, Error::Stopped) {
        return plain(object, ObjectResult::Skipped);
    }
    let result = match error {
        Error::Refused(refusal) if is_about_the_object(refusal) => ObjectResult::Invalid,
        _ => ObjectResult::Failed,
    };
    let reason = match error {
        // The server's words may quote what was sent.
        Error::Refused(refusal) if is_secret(object) && !refusal.is_of_rights => format!(
            "the API server refused it ({}); its words are not shown, because they may quote the secret",
            refusal.status
        ),
        other => other.to_string(),
    };
    with(object, result, reason)
}

/// Whether its values must stay in the cluster.
pub(crate) fn is_secret(object: &ObjectKey) -> bool {
    object.group.is_empty() && object.kind == "Secret"
}

/// Whether the server judged the object, as opposed to being unable to.
fn is_about_the_object(refusal: &Refusal) -> bool {
    matches!(refusal.status, 400 | 403 | 404 | 413 | 422)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_in_no_reason() {
        let key = |kind: &str| ObjectKey {
            group: String::new(),
            kind: kind.into(),
            namespace: Some("shop".into()),
            name: "a".into(),
        };
        let error = Error::Refused(Refusal {
            status: 422,
            message: "data: Invalid value: \"hunter2\"".into(),
            absent: None,
            is_of_rights: false,
            immutable: Vec::new(),
        });
        let reason = |kind| failed(&key(kind), &error).reason.unwrap_or_default();
        assert!(!reason("Secret").contains("hunter2"));
        assert!(reason("ConfigMap").contains("hunter2"));
    }
}
