//! Which process acts for an agent, and for which cluster.

use brokkr_core::name::Reference;
use brokkr_core::wire::{AuditAction, OpenSession};
use brokkr_core::{AgentId, ClusterUid, Name};
use serde_json::json;

use super::requests;
use crate::error::Result;
use crate::scope::Scope;
use crate::store::agents::{self, AgentRow, named};
use crate::store::changes::Touched;
use crate::store::sessions;
use crate::writer::{Change, Mutation};

/// How many other clusters are remembered: each is an entry in the audit once, however often it asks.
const REMEMBERED: usize = 16;

/// Begins a session of an agent, which ends the one before.
pub(crate) struct BeginSession {
    pub(crate) agent: AgentId,
    pub(crate) open: OpenSession,
}

/// What becomes of the wish for a session.
pub(crate) enum Begun {
    /// It has this number.
    Session(u64),
    /// The agent is bound to another cluster.
    Refused { agent: Name, bound: ClusterUid },
}

impl Mutation for BeginSession {
    type Output = Begun;

    async fn apply(&self, change: &mut Change) -> Result<Begun> {
        let agent = agents::itself(self.agent, &mut change.tx).await?;
        match agent.bond.cluster.clone() {
            Some(bound) if bound != self.open.cluster => self.refuse(agent, bound, change).await,
            _ => self.begin(agent, change).await,
        }
    }
}

impl BeginSession {
    async fn begin(&self, mut agent: AgentRow, change: &mut Change) -> Result<Begun> {
        let before = json!({"session": agent.bond.session, "cluster": &agent.bond.cluster});
        agent.bond.session = after(agent.bond.session, change);
        agent.bond.cluster = Some(self.open.cluster.clone());
        agent.bond.version = Some(self.open.version.clone());
        agent.bond.features.clone_from(&self.open.features);
        sessions::set(agent.id, &agent.bond, &mut change.tx).await?;
        change.touch(Touched::Agent(agent.id));
        let mut after = json!({
            "session": agent.bond.session, "cluster": &agent.bond.cluster, "version": &self.open.version,
        });
        let refused = requests::refuse_unknown(&agent, change).await?;
        if !refused.is_empty() {
            after["refused_requests"] = json!(refused);
        }
        let subject = named(&agent);
        change.audit(
            AuditAction::AgentSession,
            subject,
            Some(&before),
            Some(&after),
        )?;
        Ok(Begun::Session(agent.bond.session))
    }

    /// Says it in the audit when it is news: a copied key asks for ever.
    async fn refuse(
        &self,
        mut agent: AgentRow,
        bound: ClusterUid,
        change: &mut Change,
    ) -> Result<Begun> {
        let refused = &mut agent.bond.refused;
        if refused.contains(&self.open.cluster) {
            change.unchanged();
            let agent = agent.name;
            return Ok(Begun::Refused { agent, bound });
        }
        if refused.len() == REMEMBERED {
            refused.remove(0);
        }
        refused.push(self.open.cluster.clone());
        sessions::set(agent.id, &agent.bond, &mut change.tx).await?;
        let (bound_to, asked_for) = (
            json!({"cluster": &bound}),
            json!({"cluster": &self.open.cluster}),
        );
        let subject = named(&agent);
        change.audit(
            AuditAction::AgentConflict,
            subject,
            Some(&bound_to),
            Some(&asked_for),
        )?;
        let agent = agent.name;
        Ok(Begun::Refused { agent, bound })
    }
}

/// Lets the next session bind an agent anew, and ends the present one.
pub(crate) struct Rebind {
    pub(crate) agent: Reference,
}

impl Mutation for Rebind {
    type Output = AgentRow;

    async fn apply(&self, change: &mut Change) -> Result<AgentRow> {
        let mut agent = agents::find(&self.agent, &Scope::All, &mut change.tx).await?;
        let Some(cluster) = agent.bond.cluster.take() else {
            change.unchanged();
            return Ok(agent);
        };
        agent.bond.session = after(agent.bond.session, change);
        agent.bond.refused.clear();
        sessions::set(agent.id, &agent.bond, &mut change.tx).await?;
        change.touch(Touched::Agent(agent.id));
        let before = json!({"cluster": cluster});
        let subject = named(&agent);
        change.audit(
            AuditAction::AgentRebind,
            subject,
            Some(&before),
            None::<&()>,
        )?;
        Ok(agent)
    }
}

/// The number of the session after this one. It is a time where it can be: a database that was restored gives out
/// greater numbers than it did before, and a session that it does not know of is over when the next one begins.
fn after(session: u64, change: &Change) -> u64 {
    let now = u64::try_from(change.now.as_millisecond()).unwrap_or_default();
    now.max(session + 1)
}
