//! What this agent owns in the cluster, stack by stack, kept in the cluster itself.
//!
//! It is written before anything is applied, with `pending` entries for what is about to be created, and
//! shrinks only by what is confirmed gone or let go, so that a crash at any point orphans nothing.

mod document;
mod records;
mod root;
mod shelf;
mod touch;

use std::collections::BTreeMap;

use brokkr_core::mutant::Mutant;
use brokkr_core::plan::{Fingerprint, Live, Memory, Ownership, Verdict, Written};
use brokkr_core::wire::TargetStack;
use brokkr_core::{DeploymentObjectId, Digest, EventId, ObjectKey, ServiceAccount, StackId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cluster::Resource;
use crate::plan::Plan;
use crate::validate::Object;

pub(crate) use records::Records;
pub(crate) use root::{Accepted, Change};
pub(crate) use touch::Touch;

/// What a stack owns.
#[derive(Debug, Clone)]
pub(crate) struct Inventory {
    pub stack: StackId,
    pub memory: Memory,
    /// The deployment object that was last applied whole.
    pub applied: Option<Applied>,
    /// The service account as which all of it can be written, as far as that was tried; none if it was the agent itself.
    written_as: Option<ServiceAccount>,
    entries: BTreeMap<ObjectKey, Entry>,
    stored: Option<shelf::Stored>,
}

/// One object of an inventory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub resource: Resource,
    pub ownership: Ownership,
}

/// A deployment object that was applied whole, and the event that tells so: sent again after a crash,
/// it is the same event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Applied {
    pub deployment_object: DeploymentObjectId,
    pub sequence: u64,
    /// What its content hashes to, and the namespace of its objects that name none; version 0.1.0 kept neither.
    #[serde(default)]
    pub digest: Option<Digest>,
    #[serde(default)]
    pub default_namespace: Option<String>,
    pub event: EventId,
    pub at: Timestamp,
}

impl Applied {
    /// The entry to keep it by, as far as it is on record. How the stack behaves is as the newest entry has it.
    pub(crate) fn entry(&self, newest: &TargetStack) -> Option<TargetStack> {
        if self.deployment_object == newest.deployment_object {
            return Some(newest.clone());
        }
        Some(TargetStack {
            deployment_object: self.deployment_object,
            sequence: self.sequence,
            digest: self.digest?,
            default_namespace: self.default_namespace.clone(),
            ..newest.clone()
        })
    }
}

impl Inventory {
    fn new(stack: StackId, memory: Memory) -> Self {
        Self {
            stack,
            memory,
            applied: None,
            written_as: None,
            entries: BTreeMap::new(),
            stored: None,
        }
    }

    /// Whether nothing was ever installed.
    pub(crate) fn is_of_nothing(&self) -> bool {
        self.stored.is_none() && self.memory == Memory::Whole
    }

    /// Whether all that is there is known to be writable by this account. What was never written need not be.
    pub(crate) fn is_written_as(&self, account: Option<&ServiceAccount>) -> bool {
        self.entries.is_empty() || self.written_as.as_ref() == account
    }

    /// As whom all that is there was written last.
    pub(crate) const fn account(&self) -> Option<&ServiceAccount> {
        self.written_as.as_ref()
    }

    /// Notes as whom all that is there is written from now on.
    pub(crate) fn write_as(&mut self, account: Option<&ServiceAccount>) {
        self.written_as = account.cloned();
    }

    pub(crate) fn get(&self, key: &ObjectKey) -> Option<&Ownership> {
        self.entries.get(key).map(|entry| &entry.ownership)
    }

    pub(crate) fn entries(&self) -> &BTreeMap<ObjectKey, Entry> {
        &self.entries
    }

    /// How many objects were written and not let go of since.
    pub(crate) fn owned(&self) -> usize {
        let entries = self.entries.values();
        let is_owned = |entry: &&Entry| matches!(entry.ownership, Ownership::Owned { .. });
        entries.filter(is_owned).count()
    }

    /// Enters what a plan is about to create, take over, take back or change. Should it be cut short, an object that was to
    /// be changed may have been or not, and no earlier write says what it is now.
    pub(crate) fn expect(&mut self, plan: &Plan<'_>) {
        for step in plan.steps() {
            match (&step.verdict, self.entries.get_mut(&step.object.key)) {
                (Verdict::Adopt(adoption), _) => self.enter(step.object, adoption.claim()),
                (Verdict::Create | Verdict::Remake(_), _) | (_, None) => {
                    self.enter(step.object, Ownership::Pending);
                }
                (Verdict::Update(_), Some(entry)) if !Mutant::ChangeUnannounced.is_on() => {
                    if let Ownership::Owned { written, .. } = &mut entry.ownership {
                        *written = None;
                    }
                }
                _ => {}
            }
        }
    }

    /// Notes that an object was written as `manifest`.
    pub(crate) fn own(&mut self, object: &Object, manifest: Fingerprint, live: &Live) {
        let ownership = Ownership::Owned {
            uid: live.incarnation.uid.clone(),
            written: Some(Written {
                manifest,
                fields: live.fields.unwrap_or_else(|| Fingerprint::of(b"")),
            }),
        };
        self.enter(object, ownership);
    }

    fn enter(&mut self, object: &Object, ownership: Ownership) {
        let resource = object.resource.clone();
        let entry = Entry {
            resource,
            ownership,
        };
        self.entries.insert(object.key.clone(), entry);
    }

    /// Takes out an object that is gone or let go.
    pub(crate) fn release(&mut self, key: &ObjectKey) {
        self.entries.remove(key);
    }

    /// Takes out everything, and leaves it in the cluster as it is.
    pub(crate) fn release_all(&mut self) -> Vec<ObjectKey> {
        std::mem::take(&mut self.entries).into_keys().collect()
    }
}
