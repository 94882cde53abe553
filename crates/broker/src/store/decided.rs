use std::collections::HashSet;

use brokkr_core::ObjectKey;
use serde::{Deserialize, Serialize};

/// What was decided about the losses that an agent held of a stack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Decided {
    /// Objects that may go.
    pub(crate) approved: Vec<ObjectKey>,
    /// Objects that stay, as nobody's.
    pub(crate) released: Vec<ObjectKey>,
}

/// The newest of each: who approves or refuses for years must not make answers grow for ever.
const MOST: usize = 5_000;

impl Decided {
    pub(crate) const fn is_empty(&self) -> bool {
        self.approved.is_empty() && self.released.is_empty()
    }

    pub(crate) fn approve(&mut self, objects: &[ObjectKey]) {
        take(objects, &mut self.released);
        add(objects, &mut self.approved);
    }

    pub(crate) fn release(&mut self, objects: &[ObjectKey]) {
        take(objects, &mut self.approved);
        add(objects, &mut self.released);
    }

    /// What is left when a snapshot has these objects. Its keys are as written: of an object of the whole cluster,
    /// a namespace there is noise.
    #[must_use]
    pub(crate) fn without(mut self, written: &[ObjectKey]) -> Self {
        let same: HashSet<_> = written.iter().collect();
        let named: HashSet<_> = written.iter().map(unplaced).collect();
        let is_back = |key: &ObjectKey| match key.namespace {
            Some(_) => same.contains(key),
            None => named.contains(&unplaced(key)),
        };
        self.approved.retain(|key| !is_back(key));
        self.released.retain(|key| !is_back(key));
        self
    }
}

fn unplaced(key: &ObjectKey) -> (&str, &str, &str) {
    (&key.group, &key.kind, &key.name)
}

fn take(objects: &[ObjectKey], from: &mut Vec<ObjectKey>) {
    let objects: HashSet<_> = objects.iter().collect();
    from.retain(|key| !objects.contains(key));
}

fn add(objects: &[ObjectKey], to: &mut Vec<ObjectKey>) {
    take(objects, to);
    to.extend_from_slice(objects);
    to.drain(..to.len().saturating_sub(MOST));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(namespace: Option<&str>, name: &str) -> ObjectKey {
        ObjectKey {
            group: String::new(),
            kind: "Thing".to_owned(),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        }
    }

    #[test]
    fn the_last_word_counts_and_ends_when_the_object_is_back() {
        let (a, b, wide) = (key(Some("x"), "a"), key(Some("x"), "b"), key(None, "wide"));
        let mut decided = Decided::default();
        decided.approve(&[a.clone(), b.clone(), wide.clone()]);
        decided.release(std::slice::from_ref(&b));
        assert_eq!(decided.approved, [a.clone(), wide]);
        assert_eq!(decided.released, std::slice::from_ref(&b));
        let elsewhere = [key(Some("y"), "a"), key(Some("y"), "wide"), b];
        let decided = decided.without(&elsewhere);
        assert_eq!((decided.approved, decided.released), (vec![a], Vec::new()));
    }

    #[test]
    fn the_newest_are_kept() {
        let many: Vec<_> = (0..MOST).map(|n| key(None, &n.to_string())).collect();
        let mut decided = Decided::default();
        decided.approve(&many);
        decided.approve(&[key(None, "new")]);
        assert_eq!(decided.approved.len(), MOST);
        assert_eq!(decided.approved.last(), Some(&key(None, "new")));
        assert_eq!(decided.approved[0], key(None, "1"));
    }
}
