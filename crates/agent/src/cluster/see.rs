use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use brokkr_core::ObjectKey;
use brokkr_core::mutant::Mutant;
use brokkr_core::plan::Live;
use futures::FutureExt;

use super::list::{LONG_PAGE, List, METADATA_LIST, PAGE};
use super::objects::{Partial, read};
use super::{Cluster, Resource};
use crate::Error;

/// So many objects of one kind in one namespace are read as a list, fewer one by one.
const WORTH_A_LIST: usize = 8;
/// Lists that go on for longer than this many times of what is looked for are left, and the rest is read
/// one by one: the namespace belongs to others.
const WORTH_READING_ON: usize = 8;
/// A page has room for them all, if a few others are in the namespace.
const FEW_OTHERS: usize = 50;
/// How old the knowledge of kinds may be that proves a kind to be gone.
const FRESH: Duration = Duration::from_secs(1);

/// What was seen of the objects that were looked for. Every one of them was asked for, so one that is not
/// here does not exist; a look that was not complete is an error and never becomes a sight.
#[derive(Default, Debug)]
pub(crate) struct Sight(HashMap<ObjectKey, Live>);

impl Sight {
    pub(crate) fn of(&self, key: &ObjectKey) -> Option<&Live> {
        self.0.get(key)
    }

    /// Whether an object in a namespace was seen, which is proof of the namespace.
    pub(crate) fn is_anything_in(&self, namespace: &str) -> bool {
        let mut seen = self.0.keys();
        seen.any(|key| key.namespace.as_deref() == Some(namespace))
    }

    pub(crate) fn take(&mut self, key: &ObjectKey) -> Option<Live> {
        self.0.remove(key)
    }
}

/// What it takes to believe that an object is not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Absence {
    /// No list has it. Who goes wrong by that only tries to create it, which an object that exists withstands.
    Listed,
    /// It was asked for by its name. Lists have come back empty from servers that were in trouble, and what is
    /// believed to be gone is forgotten.
    Asked,
}

impl Cluster {
    /// Looks for objects, as few requests as it takes.
    pub(crate) async fn see(
        &self,
        objects: impl IntoIterator<Item = (ObjectKey, Resource)>,
        absence: Absence,
    ) -> Result<Sight, Error> {
        let mut groups: BTreeMap<(String, Option<String>), (Resource, Vec<ObjectKey>)> =
            BTreeMap::new();
        for (key, resource) in objects {
            let collection = resource.collection(key.namespace.as_deref());
            let group = groups.entry((collection, key.namespace.clone()));
            group.or_insert((resource, Vec::new())).1.push(key);
        }
        let looks: Vec<_> = groups
            .into_values()
            .map(|(resource, keys)| self.see_group(resource, keys, absence).boxed())
            .collect();
        let mut sight = Sight::default();
        for seen in self.together(looks).await {
            sight.0.extend(seen?);
        }
        Ok(sight)
    }

    async fn see_group(
        &self,
        resource: Resource,
        keys: Vec<ObjectKey>,
        absence: Absence,
    ) -> Result<Vec<(ObjectKey, Live)>, Error> {
        match self.look(&resource, &keys, absence).await {
            Err(error) if error.is_not_found() && self.is_kind_gone(&keys).await? => Ok(Vec::new()),
            seen => seen,
        }
    }

    async fn look(
        &self,
        resource: &Resource,
        keys: &[ObjectKey],
        absence: Absence,
    ) -> Result<Vec<(ObjectKey, Live)>, Error> {
        let (mut seen, rest) = if keys.len() < WORTH_A_LIST {
            (Vec::new(), keys.to_vec())
        } else {
            self.see_listed(resource, keys, absence).await?
        };
        let looks: Vec<_> = rest
            .iter()
            .map(|key| {
                self.find(resource, key)
                    .map(move |live| (key, live))
                    .boxed()
            })
            .collect();
        for (key, live) in self.together(looks).await {
            seen.extend(live?.map(|live| (key.clone(), live)));
        }
        Ok(seen)
    }

    /// A path that is not served proves that objects are gone only if their kind is served nowhere else.
    async fn is_kind_gone(&self, keys: &[ObjectKey]) -> Result<bool, Error> {
        let kinds = self.kinds(FRESH).await?;
        Ok(keys
            .iter()
            .all(|key| kinds.versions(&key.group, &key.kind).is_empty()))
    }

    /// Reads a list as far as it is worth it; returns what was found, and what is still to be looked for.
    async fn see_listed(
        &self,
        resource: &Resource,
        keys: &[ObjectKey],
        absence: Absence,
    ) -> Result<(Vec<(ObjectKey, Live)>, Vec<ObjectKey>), Error> {
        let mut wanted: HashMap<&str, &ObjectKey> =
            keys.iter().map(|key| (key.name.as_str(), key)).collect();
        let namespace = keys.first().and_then(|key| key.namespace.as_deref());
        let mut seen = Vec::with_capacity(keys.len());
        let mut next = String::new();
        let page = (keys.len() + FEW_OTHERS).clamp(PAGE, LONG_PAGE);
        for _ in 0..=(keys.len() * WORTH_READING_ON / page) {
            let path = format!(
                "{}?limit={page}&continue={next}",
                resource.collection(namespace)
            );
            let page: List<Partial> = read(&self.ask(&path, METADATA_LIST).await?)?;
            for item in page.items.into_iter().flatten() {
                if let Some(key) = wanted.remove(item.name()) {
                    seen.push((key.clone(), self.live(item)));
                }
            }
            next = page.metadata.next;
            if next.is_empty() {
                break;
            }
        }
        let is_enough = absence == Absence::Listed || Mutant::EmptyListBelieved.is_on();
        if next.is_empty() && is_enough {
            return Ok((seen, Vec::new()));
        }
        let rest = keys.iter().filter(|key| wanted.contains_key(&*key.name));
        Ok((seen, rest.cloned().collect()))
    }
}
