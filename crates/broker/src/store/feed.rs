use std::collections::{HashMap, HashSet};

use brokkr_core::wire::About;
use sqlx::types::Json;

use super::{Tx, number, on, sql};
use crate::error::Result;

/// So many groups are kept: seconds of the busiest fleet, and a follower looks once a second.
const KEPT: u64 = 8_192;
/// Those that are too many are let go together.
const TOGETHER: u64 = 256;
/// A group that changed more says only that it was much.
const MUCH: usize = 4_096;

/// Writes down what a group of reports changed.
pub(crate) async fn record(ingest: u64, told: &HashSet<About>, tx: &mut Tx) -> Result<()> {
    let told = (told.len() <= MUCH).then_some(told);
    on!(tx, |c| sqlx::query(
        "insert into feed (ingest, told) values ($1, $2)"
    )
    .bind(sql(ingest))
    .bind(Json(told))
    .execute(c)
    .await
    .map(drop))?;
    if ingest.is_multiple_of(TOGETHER) {
        on!(tx, |c| sqlx::query("delete from feed where ingest <= $1")
            .bind(sql(ingest.saturating_sub(KEPT)))
            .execute(c)
            .await
            .map(drop))?;
    }
    Ok(())
}

/// What the groups after one up to another changed, each with the last group that did; nothing if that cannot be told
/// any more.
pub(crate) async fn between(
    behind: u64,
    ahead: u64,
    tx: &mut Tx,
) -> Result<Option<HashMap<About, u64>>> {
    if ahead.saturating_sub(behind) > KEPT {
        return Ok(None);
    }
    let rows: Vec<(i64, Json<Option<Vec<About>>>)> = on!(tx, |c| sqlx::query_as(
        "select ingest, told from feed where ingest > $1 and ingest <= $2 order by ingest"
    )
    .bind(sql(behind))
    .bind(sql(ahead))
    .fetch_all(c)
    .await)?;
    let mut last = HashMap::new();
    for (ingest, Json(told)) in rows {
        let Some(told) = told else { return Ok(None) };
        last.extend(told.into_iter().map(|about| (about, number(ingest))));
    }
    Ok(Some(last))
}
