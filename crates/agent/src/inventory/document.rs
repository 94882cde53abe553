//! The form in which an inventory is kept: JSON, compressed.

use std::io::Read as _;

use brokkr_core::plan::Memory;
use brokkr_core::{ObjectKey, ServiceAccount, StackId};
use serde::{Deserialize, Serialize};

use super::{Applied, Entry, Inventory};
use crate::Error;

/// Grows when an older agent could no longer read it rightly.
const FORMAT: u32 = 2;
/// Five thousand entries with the longest names have less than a tenth of it.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
const COMPRESSION: i32 = 3;

#[derive(Serialize, Deserialize)]
struct Document {
    format: u32,
    stack: StackId,
    memory: Memory,
    applied: Option<Applied>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    written_as: Option<ServiceAccount>,
    objects: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    key: ObjectKey,
    #[serde(flatten)]
    entry: Entry,
}

pub(super) fn write(inventory: &Inventory) -> Result<Vec<u8>, Error> {
    let lines = inventory.entries.iter().map(|(key, entry)| Line {
        key: key.clone(),
        entry: entry.clone(),
    });
    let document = Document {
        format: FORMAT,
        stack: inventory.stack,
        memory: inventory.memory,
        applied: inventory.applied.clone(),
        written_as: inventory.written_as.clone(),
        objects: lines.collect(),
    };
    let json = serde_json::to_vec(&document).map_err(unusable)?;
    zstd::encode_all(json.as_slice(), COMPRESSION).map_err(unusable)
}

/// Reads a document; none if it is not one of this stack's.
///
/// # Errors
/// One of a newer agent is an error: it is not lost, only not for this version.
pub(super) fn read(stack: StackId, bytes: &[u8]) -> Result<Option<Inventory>, Error> {
    let Some(document) = decompress(bytes).and_then(|json| serde_json::from_slice(&json).ok())
    else {
        return Ok(None);
    };
    let document: Document = document;
    if document.format > FORMAT {
        return Err(Error::Records(format!(
            "the inventory of stack {stack} was written by a newer version: upgrade this agent"
        )));
    }
    if document.stack != stack {
        return Ok(None);
    }
    let lines = document.objects.into_iter();
    Ok(Some(Inventory {
        memory: document.memory,
        applied: document.applied,
        written_as: document.written_as,
        entries: lines.map(|line| (line.key, line.entry)).collect(),
        ..Inventory::new(stack, Memory::Whole)
    }))
}

fn decompress(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut json = Vec::new();
    let decoder = zstd::Decoder::new(bytes).ok()?;
    decoder.take(MAX_BYTES).read_to_end(&mut json).ok()?;
    Some(json)
}

fn unusable(error: impl std::fmt::Display) -> Error {
    Error::Records(error.to_string())
}

#[cfg(test)]
mod tests {
    use brokkr_core::EventId;
    use brokkr_core::ambient::System;
    use brokkr_core::plan::{Fingerprint, Ownership, Written};

    use super::*;
    use crate::cluster::Resource;

    fn large(stack: StackId) -> Inventory {
        let mut inventory = Inventory::new(stack, Memory::Whole);
        for index in 0..5_000_u32 {
            let name = format!("{}-{index}", "a-name-that-goes-on".repeat(11));
            let key = ObjectKey {
                group: String::new(),
                kind: "ConfigMap".into(),
                namespace: Some("a-namespace".into()),
                name,
            };
            let hash = Fingerprint::of(&index.to_be_bytes());
            let uid = EventId::generate(&System).to_string();
            let ownership = Ownership::Owned {
                uid,
                written: Some(Written {
                    manifest: hash,
                    fields: Fingerprint::of(b"the same for all"),
                }),
            };
            let resource = Resource::new("", "v1", "configmaps");
            inventory.entries.insert(
                key,
                Entry {
                    resource,
                    ownership,
                },
            );
        }
        inventory
    }

    #[test]
    fn what_was_written_is_read_again() {
        let stack = StackId::generate(&System);
        let inventory = large(stack);
        let bytes = write(&inventory).expect("bytes");
        let read = read(stack, &bytes)
            .expect("readable")
            .expect("this stack's");
        assert_eq!(read.entries, inventory.entries);
        // With the chunk size of the shelf, five thousand entries fit a few ConfigMaps.
        assert!(bytes.len() < 700 * 1024, "{}", bytes.len());
    }

    #[test]
    fn damage_is_noticed() {
        let stack = StackId::generate(&System);
        let bytes = write(&Inventory::new(stack, Memory::Whole)).expect("bytes");
        let other = StackId::generate(&System);
        assert!(matches!(read(other, &bytes), Ok(None)));
        assert!(matches!(read(stack, &bytes[..bytes.len() / 2]), Ok(None)));
        assert!(matches!(read(stack, b"not zstd"), Ok(None)));
        let newer = serde_json::json!({"format": 3, "stack": stack, "memory": "whole", "applied": null, "objects": []});
        let newer = zstd::encode_all(newer.to_string().as_bytes(), 3).expect("bytes");
        assert!(read(stack, &newer).is_err());
    }
}
