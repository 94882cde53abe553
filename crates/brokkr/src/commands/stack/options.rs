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

/// What becomes of objects that the manifests name and that exist already, as somebody else's.
#[derive(Clone, Copy, ValueEnum)]
pub enum Adopt {
    /// They are conflicts: nothing is applied
    Never,
    /// They are taken over if applying would change nothing of them but whose they are
    IfIdentical,
    /// They are taken over, and made what the manifests say
    Always,
}

/// What becomes of what others did to a stack's objects since they were written.
#[derive(Clone, Copy, ValueEnum)]
pub enum Drift {
    /// It is changed back
    Repair,
    /// It is left as it is and said; the stack is held
    Report,
}

impl From<Drift> for wire::Drift {
    fn from(chosen: Drift) -> Self {
        match chosen {
            Drift::Repair => Self::Repair,
            Drift::Report => Self::Report,
        }
    }
}

impl From<Adopt> for wire::Adopt {
    fn from(chosen: Adopt) -> Self {
        match chosen {
            Adopt::Never => Self::Never,
            Adopt::IfIdentical => Self::IfIdentical,
            Adopt::Always => Self::Always,
        }
    }
}

impl From<OnRemove> for wire::OnRemove {
    fn from(chosen: OnRemove) -> Self {
        match chosen {
            OnRemove::Delete => Self::Delete,
            OnRemove::Orphan => Self::Orphan,
        }
    }
}
