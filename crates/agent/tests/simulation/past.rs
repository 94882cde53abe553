//! What a broker's database has of its history, and what a token proves of it.

use brokkr_core::Epoch;
use brokkr_core::ambient::Ambient;

/// A history up to now.
#[derive(Clone)]
pub struct Past {
    pub epoch: Epoch,
    /// The histories that this one continues, because somebody says so.
    pub succeeds: Vec<Epoch>,
    /// The histories that this one took the place of.
    pub lost: Vec<Epoch>,
    /// The random id of each revision.
    ids: Vec<u64>,
}

impl Past {
    pub fn new(ambient: &dyn Ambient) -> Self {
        Self {
            epoch: Epoch::generate(ambient),
            succeeds: Vec::new(),
            lost: Vec::new(),
            ids: Vec::new(),
        }
    }

    pub fn revision(&self) -> u64 {
        self.ids.len() as u64
    }

    /// Something was changed.
    pub fn go_on(&mut self, id: u64) {
        self.ids.push(id);
    }

    /// What names this place in this history, without its epoch.
    pub fn token(&self) -> String {
        let id = self.ids.last().copied().unwrap_or_default();
        format!("{}.{id}", self.revision())
    }

    /// Whether this is the history of a token, or is known to come after it.
    pub fn knows(&self, epoch: Epoch, token: &str) -> bool {
        if epoch != self.epoch {
            return self.succeeds.contains(&epoch) || self.lost.contains(&epoch);
        }
        let mut parts = token.split('.').map(str::parse::<u64>);
        let (Some(Ok(revision)), Some(Ok(id))) = (parts.next(), parts.next()) else {
            return true;
        };
        let nth = usize::try_from(revision).unwrap_or_default().checked_sub(1);
        nth.is_none_or(|nth| self.ids.get(nth) == Some(&id))
    }

    /// Another epoch begins, because this database does not have what was told.
    pub fn lose(&mut self, told: Epoch, ambient: &dyn Ambient) {
        self.lost.push(self.epoch);
        if told != self.epoch {
            self.lost.push(told);
        }
        self.epoch = Epoch::generate(ambient);
    }

    /// Whether everything that another past has is in this one.
    pub fn contains(&self, other: &Self) -> bool {
        self.epoch == other.epoch && self.ids.starts_with(&other.ids)
    }

    /// Whether an agent that followed another past may follow this one.
    pub fn follows(&self, other: &Self) -> bool {
        self.contains(other) || self.succeeds.contains(&other.epoch)
    }
}
