//! Who changed what: entries that are chained by hashes, so that none can be edited or taken out unseen.

mod verify;

use brokkr_core::Digest;
use brokkr_core::wire::{Actor, ActorRole, Approval, AuditAction, AuditEntry, Subject};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

pub(crate) use verify::verify_copy;
pub use verify::{Verified, verify};

use crate::error::{Error, Result};
use crate::plan::Planning;

/// What a change says of itself.
#[derive(Debug, Clone)]
pub(crate) struct Audited {
    action: AuditAction,
    subject: Subject,
    before: Option<Value>,
    after: Option<Value>,
}

impl Audited {
    /// Of a change of `subject` from `before` to `after`. Only the fields that differ are kept.
    pub(crate) fn new(
        action: AuditAction,
        subject: (Uuid, Option<String>),
        before: Option<&impl Serialize>,
        after: Option<&impl Serialize>,
    ) -> Result<Self> {
        let (id, name) = subject;
        let value = |side: Option<Value>| side.filter(|value| *value != Value::Null);
        let before = before.map(serde_json::to_value).transpose();
        let after = after.map(serde_json::to_value).transpose();
        let mut before = value(before.map_err(Error::internal)?);
        let mut after = value(after.map_err(Error::internal)?);
        if let (Some(Value::Object(before)), Some(Value::Object(after))) = (&mut before, &mut after)
        {
            let same: Vec<_> = before
                .iter()
                .filter(|(key, value)| after.get(*key) == Some(value))
                .map(|(key, _)| key.clone())
                .collect();
            for key in same {
                before.shift_remove(&key);
                after.shift_remove(&key);
            }
        }
        Ok(Self {
            action,
            subject: Subject { id, name },
            before,
            after,
        })
    }

    /// Whether nothing is different.
    pub(crate) fn is_nothing(&self) -> bool {
        let is_empty =
            |side: &Option<Value>| matches!(side, Some(Value::Object(fields)) if fields.is_empty());
        is_empty(&self.before) && is_empty(&self.after)
    }

    pub(crate) fn entry(
        self,
        actor: Actor,
        revision: u64,
        at: Timestamp,
        approval: Option<&Approval>,
        planning: &Planning,
    ) -> AuditEntry {
        AuditEntry {
            revision,
            at,
            actor,
            action: self.action,
            subject: self.subject,
            before: self.before,
            after: self.after,
            reached: planning.reached,
            left: planning.left,
            plan: approval.and_then(|approval| approval.plan),
        }
    }
}

/// The hash of an entry that follows another one.
pub(crate) fn chained(before: Option<&Digest>, entry: &str) -> Digest {
    let mut hash = Sha256::new();
    if let Some(before) = before {
        hash.update(before.as_bytes());
    }
    hash.update(entry.as_bytes());
    Digest::from(<[u8; 32]>::from(hash.finalize()))
}

/// The broker itself, or somebody on its host.
pub(crate) const fn local(role: ActorRole) -> Actor {
    Actor {
        role,
        id: None,
        key: None,
        address: None,
        request_id: None,
    }
}
