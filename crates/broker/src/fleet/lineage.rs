use std::collections::VecDeque;

use uuid::Uuid;

/// The random ids of the newest revisions, by which a history is told from any other.
pub(crate) struct Lineage {
    /// The revision of the first id.
    first: u64,
    ids: VecDeque<Uuid>,
}

/// How many ids are held: what an agent was told longer ago is looked up in the database.
const HELD: usize = 100_000;

impl Lineage {
    /// How many ids are worth reading.
    pub(crate) const HELD: u64 = HELD as u64;

    /// The ids of revisions in a row, from the first one.
    pub(crate) fn new(first: u64, ids: Vec<Uuid>) -> Self {
        Self {
            first,
            ids: ids.into(),
        }
    }

    /// The newest id; nil at the beginning, which has none.
    pub(crate) fn newest(&self) -> Uuid {
        self.ids.back().copied().unwrap_or_default()
    }

    /// The id of a revision, if it is among those that are held.
    pub(crate) fn at(&self, revision: u64) -> Option<Uuid> {
        let place = usize::try_from(revision.checked_sub(self.first)?).ok()?;
        self.ids.get(place).copied()
    }

    /// Takes in the ids of the revisions that follow.
    pub(crate) fn extend(&mut self, ids: Vec<Uuid>) {
        self.ids.extend(ids);
        let surplus = self.ids.len().saturating_sub(HELD);
        self.ids.drain(..surplus);
        self.first += surplus as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_ids_are_held() {
        let id = |revision: u64| Uuid::from_u128(revision.into());
        let mut lineage = Lineage::new(1, Vec::new());
        assert_eq!((lineage.newest(), lineage.at(0)), (Uuid::nil(), None));
        for revision in 1..=Lineage::HELD + 5 {
            lineage.extend(vec![id(revision)]);
            assert_eq!(lineage.newest(), id(revision));
        }
        assert_eq!((lineage.at(5), lineage.at(6)), (None, Some(id(6))));
        let last = Lineage::HELD + 5;
        assert_eq!(lineage.at(last), Some(id(last)));
        assert_eq!(lineage.at(last + 1), None);
    }
}
