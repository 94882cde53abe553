use brokkr_core::ObjectKey;
use brokkr_core::plan::{Live, Ownership, Written};
use brokkr_core::readiness;

use super::Inventory;

/// What it means for a stack that somebody did something to an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Touch {
    /// The object is not ours, or is as we wrote it.
    Nothing,
    /// What we wrote is untouched, but the object may do better or worse.
    Life,
    /// What we wrote is not there any more.
    Drift,
}

impl Inventory {
    /// Judges an object as it was seen, or that it is gone, by what was written last. What is about to be written, or was cut
    /// short, is an attempt's to find out.
    pub(crate) fn touch(&self, key: &ObjectKey, live: Option<&Live>) -> Touch {
        let Some(Ownership::Owned {
            uid,
            written: Some(Written { fields, .. }),
        }) = self.get(key)
        else {
            return Touch::Nothing;
        };
        let is_as_written = live.is_some_and(|live| {
            live.incarnation.uid == *uid && live.fields == Some(*fields) && live.deleting.is_none()
        });
        match is_as_written {
            false => Touch::Drift,
            true if readiness::takes_time(key) => Touch::Life,
            true => Touch::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::StackId;
    use brokkr_core::ambient::System;
    use brokkr_core::plan::{Fingerprint, Incarnation, Memory};

    use super::super::Entry;
    use super::*;
    use crate::cluster::Resource;

    fn key(group: &str, kind: &str) -> ObjectKey {
        ObjectKey {
            group: group.into(),
            kind: kind.into(),
            namespace: Some("shop".into()),
            name: "a".into(),
        }
    }

    fn live(uid: &str, fields: &str, deleting: Option<Vec<String>>) -> Live {
        Live {
            incarnation: Incarnation {
                uid: uid.into(),
                resource_version: "9".into(),
            },
            stack: None,
            fields: Some(Fingerprint::of(fields.as_bytes())),
            applied_at: None,
            managers: Vec::new(),
            asks_to_stay: false,
            deleting,
            ceded: Vec::new(),
        }
    }

    #[test]
    fn only_what_we_wrote_can_drift() {
        let (map, web) = (key("", "ConfigMap"), key("apps", "Deployment"));
        let owned = |written: Option<&str>| Ownership::Owned {
            uid: "u".into(),
            written: written.map(|fields| Written {
                manifest: Fingerprint::of(b"manifest"),
                fields: Fingerprint::of(fields.as_bytes()),
            }),
        };
        let touch = |key: &ObjectKey, ownership, live: Option<Live>| {
            let mut inventory = Inventory::new(StackId::generate(&System), Memory::Whole);
            let resource = Resource::new("", "v1", "things");
            let entry = Entry {
                resource,
                ownership,
            };
            inventory.entries.insert(key.clone(), entry);
            inventory.touch(key, live.as_ref())
        };
        let written = || owned(Some("f"));
        let as_written = || Some(live("u", "f", None));
        assert_eq!(touch(&map, written(), as_written()), Touch::Nothing);
        assert_eq!(touch(&web, written(), as_written()), Touch::Life);
        for drifted in [
            None,
            Some(live("another", "f", None)),
            Some(live("u", "others", None)),
            Some(live("u", "f", Some(Vec::new()))),
        ] {
            assert_eq!(touch(&map, written(), drifted), Touch::Drift);
        }
        for unclear in [Ownership::Pending, owned(None)] {
            assert_eq!(touch(&map, unclear, None), Touch::Nothing);
        }
        let empty = Inventory::new(StackId::generate(&System), Memory::Whole);
        assert_eq!(empty.touch(&map, None), Touch::Nothing);
    }
}
