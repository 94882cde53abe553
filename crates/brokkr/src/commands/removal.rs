//! What happens in the clusters when a stack leaves them.

use brokkr_core::object::KeptKind;
use brokkr_core::wire::OnRemove;
use clap::Args;

/// How a stack leaves a cluster.
#[derive(Args)]
pub struct Leaving {
    /// Leave the objects in the cluster, as nobody's, whatever the stack's policy says
    #[arg(long)]
    orphan: bool,

    #[command(flatten)]
    pub deletable: Deletable,
}

/// Which kept kinds may be deleted.
#[derive(Args)]
pub struct Deletable {
    /// Also delete objects of this kind, which are kept otherwise: Namespace, CustomResourceDefinition or PersistentVolumeClaim
    #[arg(long = "allow-delete", value_name = "KIND", value_delimiter = ',')]
    pub kinds: Vec<KeptKind>,
}

impl Leaving {
    /// The policy, where it is not the stack's own.
    pub fn policy(&self) -> Option<OnRemove> {
        self.orphan.then_some(OnRemove::Orphan)
    }

    /// What a person should know before it happens.
    pub fn consequence(&self, stacks_own: OnRemove) -> &'static str {
        match self.policy().unwrap_or(stacks_own) {
            OnRemove::Delete => "its objects will be deleted there",
            OnRemove::Orphan => "its objects will stay there as nobody's",
        }
    }
}
