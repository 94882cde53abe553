use brokkr_core::targeting::{AgentScope, AgentSelection, Conditions, Selector};
use brokkr_core::wire::PatchQuota;
use clap::Args;

use crate::failure::Usage;

/// Which agents a generator's stacks may reach.
#[derive(Args)]
pub struct Reach {
    /// Let its stacks reach every agent, now and later
    #[arg(long)]
    #[arg(conflicts_with_all = ["scope", "scope_annotations"])]
    all_agents: bool,

    /// Let its stacks reach agents with these labels only, whatever their own rules say
    #[arg(long, value_name = "SELECTOR")]
    scope: Option<Selector>,

    /// Let its stacks reach agents with these annotations only; beside --scope, both must hold
    #[arg(long, value_name = "CONDITIONS")]
    scope_annotations: Option<Conditions>,
}

/// How much a generator may have.
#[derive(Args)]
pub struct Limits {
    /// How many stacks it may have at the same time
    #[arg(long = "max-stacks", value_name = "N")]
    stacks: Option<u64>,

    /// How many bytes its contents may take, compressed, history included
    #[arg(long = "max-bytes", value_name = "N")]
    bytes: Option<u64>,

    /// How often it may publish in any minute
    #[arg(long = "max-publishes-per-minute", value_name = "N")]
    publishes_per_minute: Option<u64>,
}

impl Reach {
    /// The scope, if one was given.
    pub fn scope(self) -> Result<Option<AgentScope>, Usage> {
        if self.all_agents {
            return Ok(Some(AgentScope::AllAgents));
        }
        if self.scope.is_none() && self.scope_annotations.is_none() {
            return Ok(None);
        }
        AgentSelection::new(self.scope, self.scope_annotations)
            .map(|selection| Some(AgentScope::Selected(selection)))
            .map_err(|why| Usage(why.to_string()))
    }
}

impl Limits {
    /// The parts of a quota that were given.
    pub fn quota(&self) -> PatchQuota {
        PatchQuota {
            stacks: self.stacks.map(Some),
            bytes: self.bytes.map(Some),
            publishes_per_minute: self.publishes_per_minute.map(Some),
        }
    }
}
