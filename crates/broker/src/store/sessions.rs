use brokkr_core::{AgentId, ClusterUid};
use sqlx::types::Json;

use super::{Tx, Word, number, on, sql};
use crate::error::Result;

/// Which process acts for an agent, and for which cluster.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bond {
    /// The number of the last session; 0 if there was none.
    pub(crate) session: u64,
    /// The version of the agent that opened it.
    pub(crate) version: Option<String>,
    /// What that version understands.
    pub(crate) features: Vec<String>,
    /// The cluster that sessions are bound to.
    pub(crate) cluster: Option<ClusterUid>,
    /// Other clusters for which a session was asked for, the last one at the end.
    pub(crate) refused: Vec<ClusterUid>,
}

#[derive(sqlx::FromRow)]
pub(super) struct BondRow {
    session: i64,
    version: Option<String>,
    features: Json<Vec<String>>,
    cluster: Option<Word<ClusterUid>>,
    refused_clusters: Json<Vec<ClusterUid>>,
}

impl From<BondRow> for Bond {
    fn from(row: BondRow) -> Self {
        Self {
            session: number(row.session),
            version: row.version,
            features: row.features.0,
            cluster: row.cluster.map(|word| word.0),
            refused: row.refused_clusters.0,
        }
    }
}

pub(crate) async fn set(agent: AgentId, bond: &Bond, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| {
        sqlx::query(
        "update agents set session = $2, version = $3, cluster = $4, refused_clusters = $5, features = $6
         where id = $1"
    )
    .bind(agent.uuid())
    .bind(sql(bond.session))
    .bind(bond.version.as_deref())
    .bind(bond.cluster.as_ref().map(ClusterUid::as_str))
    .bind(Json(&bond.refused))
    .bind(Json(&bond.features))
    .execute(c)
    .await
    .map(drop)
    })?;
    Ok(())
}
