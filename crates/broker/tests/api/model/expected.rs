//! What should run where, without a database, an index or a revision: every pair judged anew after each step.

use std::collections::{BTreeMap, BTreeSet};

use brokkr_core::StackId;

use super::step::*;

#[derive(Debug, Clone, Copy)]
pub struct Stack {
    pub id: StackId,
    /// 0 before the first publish.
    pub sequence: u64,
    pub content: Option<u8>,
    traits: StackTraits,
    rules: u8,
    exclude: u8,
}

#[derive(Debug, Clone, Default)]
pub struct Expected {
    pub stacks: BTreeMap<usize, Stack>,
    agents: [(AgentTraits, u8); AGENTS.len()],
    scope: usize,
    direct: BTreeSet<(usize, usize)>,
    /// Agent, stack, rule: the facts held once.
    held: BTreeSet<(usize, usize, usize)>,
    running: BTreeSet<(usize, usize)>,
    /// With the agents that were named for them.
    pub deleted: BTreeMap<usize, (Stack, BTreeSet<usize>)>,
    removing: BTreeSet<(usize, StackId)>,
}

impl Expected {
    pub fn create(&mut self, stack: usize, id: StackId) {
        self.deleted.remove(&stack);
        self.stacks.insert(
            stack,
            Stack {
                id,
                sequence: 0,
                content: None,
                traits: StackTraits::default(),
                rules: 0,
                exclude: 0,
            },
        );
        self.held.retain(|(_, of, _)| *of != stack);
    }

    /// What a step of targeting makes of it.
    pub fn take(&mut self, step: &Step) {
        match *step {
            Step::Target(agent, stack) if self.may_target(agent, stack) => {
                self.direct.insert((agent, stack));
            }
            Step::Untarget(agent, stack) => {
                self.direct.remove(&(agent, stack));
            }
            Step::Delete(stack) => {
                let named =
                    (0..AGENTS.len()).filter(|agent| self.direct.contains(&(*agent, stack)));
                let named = named.collect();
                for agent in 0..AGENTS.len() {
                    self.end(agent, stack);
                }
                if let Some(row) = self.stacks.remove(&stack) {
                    self.deleted.insert(stack, (row, named));
                }
            }
            Step::Undelete(stack) => {
                if self.stacks.contains_key(&stack) {
                    self.take(&Step::Delete(stack));
                }
                if let Some((row, named)) = self.deleted.remove(&stack) {
                    for agent in named {
                        if self.removing.contains(&(agent, row.id)) {
                            self.direct.insert((agent, stack));
                        }
                    }
                    self.stacks.insert(stack, row);
                }
            }
            Step::Agent(agent, traits) => self.agents[agent].0 = traits,
            Step::Facts(agent, version) => self.agents[agent].1 = version,
            Step::Stack(stack, traits) => {
                if let Some(stack) = self.stacks.get_mut(&stack) {
                    stack.traits = traits;
                }
            }
            Step::Targeting(stack, rules, exclude) => {
                if let Some(found) = self.stacks.get_mut(&stack) {
                    (found.rules, found.exclude) = (rules, exclude);
                    self.held
                        .retain(|(_, of, rule)| *of != stack || rules >> rule & 1 == 1);
                }
            }
            Step::Scope(scope) => self.scope = scope,
            Step::Confirm(agent) => self.removing.retain(|(removes, _)| *removes != agent),
            _ => {}
        }
        self.settle();
    }

    fn settle(&mut self) {
        let stacks: Vec<_> = self
            .stacks
            .iter()
            .map(|(stack, row)| (*stack, *row))
            .collect();
        for agent in 0..AGENTS.len() {
            for (stack, row) in &stacks {
                let ruled = self.is_ruled(agent, *stack, row);
                let targeted = ruled || self.direct.contains(&(agent, *stack));
                if targeted && !self.is_barred(agent, *stack) {
                    self.removing.remove(&(agent, row.id));
                    self.running.insert((agent, *stack));
                } else {
                    self.end(agent, *stack);
                }
            }
        }
    }

    fn is_ruled(&mut self, agent: usize, stack: usize, row: &Stack) -> bool {
        let (traits, version) = self.agents[agent];
        let mut ruled = false;
        for (index, rule) in RULES.iter().enumerate() {
            if row.rules >> index & 1 == 0 || !(rule.holds)(traits, row.traits) {
                continue;
            }
            match rule.facts {
                Some(least) if version < least => {
                    ruled |= self.held.contains(&(agent, stack, index));
                }
                Some(_) => {
                    self.held.insert((agent, stack, index));
                    ruled = true;
                }
                None => ruled = true,
            }
        }
        ruled
    }

    fn may_target(&self, agent: usize, stack: usize) -> bool {
        self.stacks.contains_key(&stack) && !self.is_barred(agent, stack)
    }

    pub fn is_barred(&self, agent: usize, stack: usize) -> bool {
        let (traits, _) = self.agents[agent];
        let Some(row) = self.stacks.get(&stack) else {
            return false;
        };
        let excluded = EXCLUSIONS.iter().enumerate().any(|(index, exclusion)| {
            row.exclude >> index & 1 == 1 && (exclusion.holds)(traits, row.traits)
        });
        let scope = &SCOPES[self.scope];
        excluded || stack >= FIRST_OF_GENERATOR && !(scope.holds)(traits, row.traits)
    }

    fn end(&mut self, agent: usize, stack: usize) {
        self.direct.remove(&(agent, stack));
        if self.running.remove(&(agent, stack))
            && let Some(row) = self.stacks.get(&stack)
        {
            self.removing.insert((agent, row.id));
        }
    }

    /// What an agent should be told: stacks with their sequences, and removals.
    pub fn told(&self, agent: usize) -> (BTreeMap<StackId, u64>, BTreeSet<StackId>) {
        let runs = self.running.iter().filter(|(runs, _)| *runs == agent);
        let stacks = runs.filter_map(|(_, stack)| self.stacks.get(stack));
        let stacks = stacks.filter(|stack| stack.sequence > 0);
        let removals = self
            .removing
            .iter()
            .filter(|(removes, _)| *removes == agent);
        (
            stacks.map(|stack| (stack.id, stack.sequence)).collect(),
            removals.map(|(_, id)| *id).collect(),
        )
    }
}
