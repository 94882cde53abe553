//! What histories are made of. Numbers name agents, stacks, replicas and entries of the pools.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::keys::{self, KeyStep};

/// Fewer than the guard of the broker minds: no change needs a plan.
pub const AGENTS: [&str; 3] = ["north", "south", "west"];
/// As an admin names them; the last two are a generator's.
pub const STACKS: [&str; 4] = ["shop", "mail", "ci:blog", "ci:wiki"];
pub const FIRST_OF_GENERATOR: usize = 2;
const VALUES: [&str; 2] = ["a", "b"];

/// A step of a history.
#[derive(Debug, Clone)]
pub enum Step {
    Create(usize),
    Publish(usize, u8),
    Target(usize, usize),
    Untarget(usize, usize),
    Delete(usize),
    /// It is deleted if it is there, and brought back.
    Undelete(usize),
    Agent(usize, AgentTraits),
    /// Its Kubernetes version is 1.N.
    Facts(usize, u8),
    Stack(usize, StackTraits),
    /// Bits choose from [`RULES`] and [`EXCLUSIONS`].
    Targeting(usize, u8, u8),
    /// Which of [`SCOPES`] the generator has.
    Scope(usize),
    /// Two that meet at different replicas: either may be first.
    Both(Box<Step>, Box<Step>),
    /// The agent confirms every removal that it is told of, and one that it is not.
    Confirm(usize),
    /// The agent says that everything of it failed; nothing that is desired may change.
    Complain(usize),
    Restart(usize),
    /// A revision of which no change is known: the index must be read anew.
    Gap,
    /// Something happens to the agent's keys; nothing that is desired may change.
    Key(usize, KeyStep),
}

/// The labels `env` and `tier` and the annotation `site` of an agent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AgentTraits {
    pub env: Option<u8>,
    pub tier: Option<u8>,
    pub site: Option<u8>,
}

/// The same of a stack.
pub type StackTraits = AgentTraits;

impl AgentTraits {
    /// As a merge patch that leaves nothing of what was before.
    pub fn patch(self) -> Value {
        let word = |value: Option<u8>| value.map(|value| VALUES[usize::from(value)]);
        json!({
            "labels": {"env": word(self.env), "tier": word(self.tier)},
            "annotations": {"site": self.site.map(|site| site.to_string())},
        })
    }
}

/// A rule or exclusion, and what it means: whether what admins set holds, and whether facts do.
pub struct Part {
    pub json: &'static str,
    pub holds: fn(AgentTraits, StackTraits) -> bool,
    /// The version at least, if facts are asked for.
    pub facts: Option<u8>,
}

const fn part(json: &'static str, holds: fn(AgentTraits, StackTraits) -> bool) -> Part {
    Part {
        json,
        holds,
        facts: None,
    }
}

const fn with_facts(
    json: &'static str,
    holds: fn(AgentTraits, StackTraits) -> bool,
    version: u8,
) -> Part {
    Part {
        json,
        holds,
        facts: Some(version),
    }
}

pub const RULES: [Part; 7] = [
    part(r#"{"labels": "env=a"}"#, |agent, _| agent.env == Some(0)),
    part(r#"{"same": ["env"]}"#, |agent, stack| {
        agent.env.is_some() && agent.env == stack.env
    }),
    part(r#"{"labels": "tier in (a,b),env!=b"}"#, |agent, _| {
        agent.tier.is_some() && agent.env != Some(1)
    }),
    part(r#"{"annotations": "site >= 2"}"#, |agent, _| {
        agent.site.is_some_and(|site| site >= 2)
    }),
    part(r#"{"same_annotations": ["site"]}"#, |agent, stack| {
        agent.site.is_some() && agent.site == stack.site
    }),
    with_facts(
        r#"{"every_agent": true, "facts": "kubernetes.version >= 1.33"}"#,
        |_, _| true,
        33,
    ),
    with_facts(
        r#"{"labels": "env", "facts": "kubernetes.version >= 1.32"}"#,
        |agent, _| agent.env.is_some(),
        32,
    ),
];

pub const EXCLUSIONS: [Part; 3] = [
    part(r#"{"labels": "tier=b"}"#, |agent, _| agent.tier == Some(1)),
    part(r#"{"same": ["tier"]}"#, |agent, stack| {
        agent.tier.is_some() && agent.tier == stack.tier
    }),
    part(r#"{"annotations": "site = 3"}"#, |agent, _| {
        agent.site == Some(3)
    }),
];

pub const SCOPES: [Part; 4] = [
    part(r#""all_agents""#, |_, _| true),
    part(r#"{"labels": "env=a"}"#, |agent, _| agent.env == Some(0)),
    part(r#"{"labels": "tier"}"#, |agent, _| agent.tier.is_some()),
    part(r#"{"annotations": "site < 3"}"#, |agent, _| {
        agent.site.is_some_and(|site| site < 3)
    }),
];

/// The parts that bits choose, as JSON.
pub fn chosen(parts: &[Part], bits: u8) -> Vec<Value> {
    let chosen = parts
        .iter()
        .enumerate()
        .filter(|(index, _)| bits >> index & 1 == 1);
    chosen
        .map(|(_, part)| serde_json::from_str(part.json).expect("JSON"))
        .collect()
}

fn traits() -> impl Strategy<Value = AgentTraits> + Clone {
    let label = || proptest::option::of(0..2_u8);
    (label(), label(), proptest::option::of(1..4_u8)).prop_map(|(env, tier, site)| AgentTraits {
        env,
        tier,
        site,
    })
}

/// A few rules and fewer exclusions: with most of them set, everything runs everywhere.
fn few(of: u32) -> impl Strategy<Value = u8> + Clone {
    (0..1_u8 << of, 0..1_u8 << of).prop_map(|(some, others)| some & others)
}

pub fn step() -> impl Strategy<Value = Step> {
    let (agent, stack) = (0..AGENTS.len(), 0..STACKS.len());
    let of_agent = prop_oneof![
        3 => (agent.clone(), traits()).prop_map(|(agent, traits)| Step::Agent(agent, traits)),
        2 => (agent.clone(), 31..35_u8).prop_map(|(agent, version)| Step::Facts(agent, version)),
    ];
    let of_stack = prop_oneof![
        2 => (stack.clone(), traits()).prop_map(|(stack, traits)| Step::Stack(stack, traits)),
        4 => (stack.clone(), few(7), few(3))
            .prop_map(|(stack, rules, exclude)| Step::Targeting(stack, rules, exclude)),
        1 => (0..SCOPES.len()).prop_map(Step::Scope),
    ];
    let both = (of_agent.clone(), of_stack.clone())
        .prop_map(|(agent, stack)| Step::Both(Box::new(agent), Box::new(stack)));
    prop_oneof![
        4 => stack.clone().prop_map(Step::Create),
        5 => (stack.clone(), 0..3_u8).prop_map(|(stack, value)| Step::Publish(stack, value)),
        3 => (agent.clone(), stack.clone()).prop_map(|(agent, stack)| Step::Target(agent, stack)),
        2 => (agent.clone(), stack.clone()).prop_map(|(agent, stack)| Step::Untarget(agent, stack)),
        1 => stack.clone().prop_map(Step::Delete),
        4 => stack.prop_map(Step::Undelete),
        6 => of_agent,
        7 => of_stack,
        4 => both,
        3 => agent.clone().prop_map(Step::Confirm),
        1 => agent.clone().prop_map(Step::Complain),
        3 => (agent, keys::step()).prop_map(|(agent, step)| Step::Key(agent, step)),
        1 => (0..2_usize).prop_map(Step::Restart),
        1 => Just(Step::Gap),
    ]
}
