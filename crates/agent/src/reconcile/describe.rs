//! What a stack has in the cluster now, and what the pods of its workloads and Kubernetes itself say where it is not well.

mod happened;
mod pods;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use brokkr_core::plan::{Memory, Ownership};
use brokkr_core::wire::{DescribedObject, Description, Health};
use brokkr_core::{ObjectKey, StackId};
use serde_json::Value;

use super::teller::{self, Teller};
use super::workloads::{self, Extent, Looked};
use super::{LOST, Reconciler};
use crate::Error;
use crate::inventory::Inventory;
use crate::observe::{self, Judged};

const MOST_OBJECTS: usize = 500;
/// Of a whole description, in bytes of JSON.
const MOST_BYTES: usize = 512 * 1024;

impl Reconciler {
    /// Describes what a stack owns. No value of a Secret is told that these contents or the cluster have.
    pub async fn describe(
        &self,
        stack: StackId,
        contents: &[Arc<str>],
    ) -> Result<Description, Error> {
        self.records.look().await?;
        let inventory = self.records.open(stack).await?;
        let cluster = &self.seen_by_owner(&inventory);
        let teller = Teller::new(self.redactor(cluster, &inventory, contents).await?);
        let redactor = &teller.redactor;
        let mut judged = observe::judge(cluster, &inventory, |_| true, redactor).await?;
        judged.sort_by_key(|judged| Reverse(judged.readiness.health));
        let more = judged.len().saturating_sub(MOST_OBJECTS);
        judged.truncate(MOST_OBJECTS);

        let mut remarks = BTreeSet::new();
        remarks.extend(of_inventory(&inventory).map(str::to_owned));
        let looked =
            workloads::look_at_pods(cluster, judged, Extent::Unwell, &teller, &mut remarks).await;
        let events = happened::happened(cluster, &looked, &teller, &mut remarks).await;
        let objects = looked.into_iter().map(|looked| {
            let uid = uid(&inventory, looked.judged.key);
            describe(looked, uid, &events, &teller)
        });
        Ok(bounded(objects.collect(), more, remarks))
    }
}

fn uid<'a>(inventory: &'a Inventory, key: &ObjectKey) -> Option<&'a str> {
    match inventory.get(key) {
        Some(Ownership::Owned { uid, .. }) => Some(uid),
        _ => None,
    }
}

fn of_inventory(inventory: &Inventory) -> Option<&'static str> {
    if inventory.memory == Memory::Lost {
        Some(LOST)
    } else if inventory.is_of_nothing() {
        Some("nothing of the stack was applied here yet: `brokkr status` says why")
    } else {
        None
    }
}

fn describe(
    looked: Looked<'_>,
    uid: Option<&str>,
    events: &BTreeMap<String, Vec<Value>>,
    teller: &Teller,
) -> DescribedObject {
    let Judged { key, readiness, .. } = looked.judged;
    let (pods, more_pods) = pods::described(&looked.pods, teller);
    let (events, more_events) = if readiness.health == Health::Current {
        (Vec::new(), 0)
    } else {
        let events = key.namespace.as_ref().and_then(|n| events.get(n));
        let events = events.map(Vec::as_slice).unwrap_or_default();
        happened::about(key, uid, &looked.pods, events, teller)
    };
    DescribedObject {
        object: key.clone(),
        health: readiness.health,
        reason: readiness.reason.map(|reason| teller.tell(&reason)),
        pods,
        more_pods,
        events,
        more_events,
    }
}

/// A description of these objects, in their order, as far as it may go: before an object is left out, all go without their pods and
/// events, those that are worst last.
fn bounded(objects: Vec<DescribedObject>, more: usize, remarks: BTreeSet<String>) -> Description {
    let mut told = Description {
        more: more as u64,
        remarks: teller::remarks(remarks),
        ..Description::default()
    };
    let mut room = MOST_BYTES;
    let mut details = Vec::new();
    for mut object in objects {
        let whole = bytes(&object);
        let pods = std::mem::take(&mut object.pods);
        let events = std::mem::take(&mut object.events);
        let plain = bytes(&object);
        match room.checked_sub(plain) {
            Some(rest) => {
                room = rest;
                told.objects.push(object);
                details.push((pods, events, whole - plain));
            }
            None => told.more += 1,
        }
    }
    for (object, (pods, events, size)) in told.objects.iter_mut().zip(details) {
        if let Some(rest) = room.checked_sub(size) {
            room = rest;
            (object.pods, object.events) = (pods, events);
        } else {
            object.more_pods += pods.len() as u64;
            object.more_events += events.len() as u64;
        }
    }
    told
}

fn bytes(object: &DescribedObject) -> usize {
    serde_json::to_vec(object).map_or(usize::MAX, |json| json.len())
}

#[cfg(test)]
mod tests;
