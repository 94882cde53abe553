//! What rules and agents are found by, on both sides: an index, which decides nothing.

use brokkr_core::targeting::{Anchors, TraitKind};
use brokkr_core::{AgentId, StackId};

use super::agents::AgentRow;
use super::{Tx, on};
use crate::error::Result;

/// The longest value that is indexed. Both engines take more, but not much: an index entry must fit a page.
const INDEXED: usize = 253;

fn indexed(value: &str) -> Option<&str> {
    (value.len() <= INDEXED).then_some(value)
}

const fn word(kind: TraitKind) -> &'static str {
    match kind {
        TraitKind::Label => "label",
        TraitKind::Annotation => "annotation",
    }
}

/// Replaces what an agent is found by.
pub(crate) async fn set_agent(agent: &AgentRow, tx: &mut Tx) -> Result<()> {
    forget_agent(agent.id, tx).await?;
    let labels = agent.labels.iter();
    let labels = labels.map(|(key, value)| (TraitKind::Label, key, value.as_ref()));
    let annotations = agent.annotations.iter();
    let annotations = annotations.map(|(key, value)| (TraitKind::Annotation, key, value.as_ref()));
    for (kind, key, value) in labels.chain(annotations) {
        on!(tx, |c| sqlx::query(
            "insert into agent_traits (agent_id, kind, key, value) values ($1, $2, $3, $4)"
        )
        .bind(agent.id.uuid())
        .bind(word(kind))
        .bind(key.as_str())
        .bind(indexed(value))
        .execute(c)
        .await
        .map(drop))?;
    }
    Ok(())
}

pub(crate) async fn forget_agent(agent: AgentId, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "delete from agent_traits where agent_id = $1"
    )
    .bind(agent.uuid())
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// Replaces what a stack's rules are found by.
pub(crate) async fn set_stack(
    stack: StackId,
    rules: impl Iterator<Item = Anchors> + Send,
    tx: &mut Tx,
) -> Result<()> {
    forget_stack(stack, tx).await?;
    for anchors in rules {
        match anchors {
            Anchors::Never => {}
            Anchors::Any => insert(stack, None, None, None, tx).await?,
            Anchors::OneOf(anchors) => {
                for anchor in anchors {
                    let value = anchor.value.as_deref().and_then(indexed);
                    let (kind, key) = (word(anchor.kind), anchor.key.as_str());
                    insert(stack, Some(kind), Some(key), value, tx).await?;
                }
            }
        }
    }
    Ok(())
}

pub(crate) async fn forget_stack(stack: StackId, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "delete from rule_anchors where stack_id = $1"
    )
    .bind(stack.uuid())
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

async fn insert(
    stack: StackId,
    kind: Option<&str>,
    key: Option<&str>,
    value: Option<&str>,
    tx: &mut Tx,
) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "insert into rule_anchors (stack_id, kind, key, value) values ($1, $2, $3, $4)"
    )
    .bind(stack.uuid())
    .bind(kind)
    .bind(key)
    .bind(value)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}
