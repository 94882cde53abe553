use brokkr_core::wire;
use clap::ValueEnum;

/// What happens in a cluster to the objects of a stack that is removed from it.
#[derive(Clone, Copy, ValueEnum)]
pub enum OnRemove {
    /// They are deleted, except those of kept kinds
    Delete,
    /// They stay and are nobody's from then on
    Orphan,
}

impl From<OnRemove> for wire::OnRemove {
    fn from(chosen: OnRemove) -> Self {
        match chosen {
            OnRemove::Delete => Self::Delete,
            OnRemove::Orphan => Self::Orphan,
        }
    }
}
