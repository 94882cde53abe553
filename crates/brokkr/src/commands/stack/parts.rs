use brokkr_core::labels::Key;
use brokkr_core::targeting::{
    Conditions, Exclusion, ExclusionParts, FactConditions, Rule, RuleParts, Selector,
};
use clap::Args;

use crate::failure::Usage;

/// What an exclusion is made of, and a rule too.
#[derive(Args)]
pub struct Parts {
    /// What the agent's labels must be, as Kubernetes selects: `env=prod,tier in (a,b),!gpu`
    #[arg(long, value_name = "SELECTOR")]
    labels: Option<Selector>,

    /// Labels of which the agent must have the same value as the stack
    #[arg(long, value_name = "KEY,…", value_delimiter = ',')]
    same: Vec<Key>,

    /// What the agent's annotations must be: as labels, and `memory>=64`, `version(driver)>=535.104`,
    /// `zone startswith eu-`
    #[arg(long, value_name = "CONDITIONS")]
    annotations: Option<Conditions>,

    /// Annotations of which the agent must have the same value as the stack
    #[arg(long, value_name = "KEY,…", value_delimiter = ',')]
    same_annotations: Vec<Key>,
}

/// What a rule is made of.
#[derive(Args)]
pub struct RuleFlags {
    #[command(flatten)]
    parts: Parts,

    /// What the agent must have reported of its cluster, never alone: `kubernetes.version>=1.33`, `kinds has
    /// cert-manager.io/Certificate`, `region=eu-west-1`, `provider=aws`
    #[arg(long, value_name = "CONDITIONS")]
    facts: Option<FactConditions>,

    /// Every agent, now and later; only --facts may stand beside it
    #[arg(long, conflicts_with_all = ["labels", "same", "annotations", "same_annotations"])]
    every_agent: bool,
}

impl Parts {
    pub fn exclusion(self) -> Result<Exclusion, Usage> {
        let parts = ExclusionParts {
            labels: self.labels,
            same: self.same,
            annotations: self.annotations,
            same_annotations: self.same_annotations,
        };
        Exclusion::try_from(parts).map_err(|why| Usage(why.to_string()))
    }
}

impl RuleFlags {
    pub fn rule(self) -> Result<Rule, Usage> {
        let parts = RuleParts {
            every_agent: self.every_agent,
            labels: self.parts.labels,
            same: self.parts.same,
            annotations: self.parts.annotations,
            same_annotations: self.parts.same_annotations,
            facts: self.facts,
        };
        Rule::try_from(parts).map_err(|why| Usage(why.to_string()))
    }
}
