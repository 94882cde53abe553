//! Facts that once held: a fact admits an agent to a rule, and never puts it out again.

use std::collections::HashSet;

use brokkr_core::{AgentId, StackId};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Tx, on};
use crate::error::{Error, Result};

/// Names a rule by its text: an edited rule is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RuleDigest([u8; 32]);

impl RuleDigest {
    pub(crate) fn of(rule: &impl ToString) -> Self {
        Self(Sha256::digest(rule.to_string()).into())
    }
}

/// For which agents and stacks facts were once held by which rules.
#[derive(Debug, Default)]
pub(crate) struct HeldFacts(HashSet<(StackId, AgentId, RuleDigest)>);

impl HeldFacts {
    pub(crate) fn contains(&self, stack: StackId, agent: AgentId, rule: RuleDigest) -> bool {
        self.0.contains(&(stack, agent, rule))
    }

    fn read(rows: Vec<(Uuid, Uuid, Vec<u8>)>) -> Result<Self> {
        let rows = rows.into_iter().map(|(stack, agent, rule)| {
            let rule = rule.try_into().map_err(|_| {
                Error::internal(anyhow::anyhow!("a rule's digest has a wrong length"))
            })?;
            Ok((stack.into(), agent.into(), RuleDigest(rule)))
        });
        rows.collect::<Result<_>>().map(Self)
    }
}

pub(crate) async fn of_stack(stack: StackId, tx: &mut Tx) -> Result<HeldFacts> {
    HeldFacts::read(on!(tx, |c| sqlx::query_as(
        "select stack_id, agent_id, rule from held_facts where stack_id = $1"
    )
    .bind(stack.uuid())
    .fetch_all(c)
    .await)?)
}

pub(crate) async fn of_agent(agent: AgentId, tx: &mut Tx) -> Result<HeldFacts> {
    HeldFacts::read(on!(tx, |c| sqlx::query_as(
        "select stack_id, agent_id, rule from held_facts where agent_id = $1"
    )
    .bind(agent.uuid())
    .fetch_all(c)
    .await)?)
}

pub(crate) async fn insert(
    stack: StackId,
    agent: AgentId,
    rule: RuleDigest,
    tx: &mut Tx,
) -> Result<()> {
    on!(tx, |c| {
        sqlx::query(
        "insert into held_facts (stack_id, agent_id, rule) values ($1, $2, $3) on conflict do nothing"
    )
    .bind(stack.uuid())
    .bind(agent.uuid())
    .bind(rule.0.as_slice())
    .execute(c)
    .await
    .map(drop)
    })?;
    Ok(())
}

/// Forgets what was held for a rule that the stack no longer has.
pub(crate) async fn forget_rule(stack: StackId, rule: RuleDigest, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "delete from held_facts where stack_id = $1 and rule = $2"
    )
    .bind(stack.uuid())
    .bind(rule.0.as_slice())
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// Forgets what was held for an agent that is no more.
pub(crate) async fn forget_agent(agent: AgentId, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "delete from held_facts where agent_id = $1"
    )
    .bind(agent.uuid())
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}
