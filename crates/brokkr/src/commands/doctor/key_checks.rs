//! What is found with the key, judged.

use brokkr_client::{Error, Poll, Result};
use brokkr_core::KeyId;
use brokkr_core::pak::Role;
use brokkr_core::wire::{Code, Key, KeyState, Me};
use jiff::{SignedDuration, Timestamp};

use super::finding::{Check, Finding};
use crate::commands::{key, whoami};

/// Time enough for somebody to see the warning.
const SOON: SignedDuration = SignedDuration::from_hours(7 * 24);
const LOG: &str = "try again; if it stays, the broker's log says more";

/// There is no key, or it is none.
pub fn no_key(error: &anyhow::Error) -> Finding {
    Check::Key.fail_by(
        &format!("{error:#}"),
        "take the whole key from where it was kept; in the place of a lost one an admin makes another: brokkr key create",
    )
}

/// Whom the broker takes us for.
pub fn key(from: &str, id: Option<KeyId>, me: &Result<Me>) -> Finding {
    let check = Check::Key;
    let id = id.map_or_else(String::new, |id| id.to_string());
    match me {
        Ok(me) => check.ok(format!(
            "{}, by key {id} from {from}",
            whoami::describe(me)
        )),
        Err(error) if error.code() == Some(Code::Unauthenticated) => check.fail(
            format!("this broker does not know key {id} from {from}, or the key has ended"),
            format!(
                "is it another broker's? An admin sees what became of it with `brokkr key show {id}`, and makes another with `brokkr key create`"
            ),
        ),
        Err(error) => check.fail(describe(error), LOG),
    }
}

/// When the key ends.
pub fn expiry(key: &Result<Key>, now: Timestamp) -> Finding {
    let check = Check::Expiry;
    let key = match key {
        Ok(key) => key,
        Err(error) => return check.fail(describe(error), LOG),
    };
    let end = match key.ends_at {
        // We have just used it, which the broker may still have to note.
        _ if key.state == KeyState::Unused => {
            return check.ok("a rotation made the key, and now it is in use");
        }
        None => return check.ok("the key has no end"),
        Some(end) => end,
    };
    let left = end.duration_since(now);
    let found = format!("the key ends {} ({})", within(left), key::seconds(end));
    if key.state == KeyState::Replaced {
        return check.warn(
            format!("{found}: a rotation put another in its place"),
            "put the new key here; who rotated it has it",
        );
    }
    if left > SOON {
        return check.ok(found);
    }
    check.warn(
        found,
        if key.expires_in.is_some() {
            "rotate it: brokkr rotate-key, with --key-file FILE if it lies in a file"
        } else {
            "no rotation puts this end off; have an admin make another key: brokkr key create"
        },
    )
}

fn within(left: SignedDuration) -> String {
    match left.as_hours() {
        ..=0 => "within the hour".to_owned(),
        hours @ 1..48 => format!("in {hours} h"),
        hours => format!("in {} days", hours / 24),
    }
}

/// What the role may do: `docs/reference/permissions.md` in one sentence.
pub fn rights(role: Role) -> Finding {
    Check::Rights.ok(match role {
        Role::Admin => "an admin may do everything but speak as an agent: docs/reference/permissions.md",
        Role::Generator => {
            "a generator may publish, target and watch stacks of its own at the agents in its scope: docs/reference/permissions.md"
        }
        Role::Agent => {
            "an agent may fetch its own target state and report on it: docs/reference/permissions.md"
        }
    })
}

/// What an agent's poll brings.
pub fn target_state(poll: &Result<Poll>) -> Finding {
    let check = Check::TargetState;
    match poll {
        Ok(Poll::Changed { state, .. }) => check.ok(format!(
            "the broker hands it out: {} to run, {} to remove",
            state.stacks.len(),
            state.removals.len()
        )),
        Ok(Poll::Unchanged) => check.ok("the broker hands it out"),
        Err(error) => check.fail(describe(error), LOG),
    }
}

/// What went wrong, and what finds it in the broker's log.
fn describe(error: &Error) -> String {
    let request = match error {
        Error::Refused(problem) => problem.request_id.as_deref(),
        _ => None,
    };
    match request {
        Some(request) => format!("{error} (request {request})"),
        None => error.to_string(),
    }
}
