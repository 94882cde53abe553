//! What is not kept for ever, forgotten a chunk at a time: the writer must not be held for long.

use brokkr_core::wire::RetentionDays;
use jiff::{SignedDuration, Timestamp};

use crate::error::Result;
use crate::store::agent_events::Position;
use crate::store::{agent_events, changes, settings};
use crate::writer::{Change, Lane, Mutation};

/// How long it is kept what a revision touched. A follower that was away for longer reads everything anew.
const CHANGES_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// So many rows hold the writer for a few milliseconds.
const CHUNK: usize = 500;

/// Forgets a chunk of agent events that are older than the settings want them kept. What a status says lies
/// elsewhere and stays.
pub(crate) struct ForgetEvents {
    /// Where the chunk before ended.
    pub(crate) after: Position,
}

impl Mutation for ForgetEvents {
    /// Where the next one begins, if there may be one.
    type Output = Option<Position>;
    const LANE: Lane = Lane::Ingest;

    async fn apply(&self, change: &mut Change) -> Result<Option<Position>> {
        match events_since(change).await? {
            Some(since) => agent_events::forget(self.after, since, CHUNK, &mut change.tx).await,
            None => Ok(None),
        }
    }
}

/// Forgets a chunk of what revisions touched.
pub(crate) struct ForgetChanges;

impl Mutation for ForgetChanges {
    /// Whether there may be more.
    type Output = bool;
    const LANE: Lane = Lane::Ingest;

    async fn apply(&self, change: &mut Change) -> Result<bool> {
        let before = earlier(change.now, CHANGES_KEPT);
        let most = i64::try_from(CHUNK).unwrap_or(i64::MAX);
        let forgotten = changes::forget(before, most, &mut change.tx).await?;
        Ok(forgotten == CHUNK as u64)
    }
}

/// Since when agent events are kept, if not all are.
pub(super) async fn events_since(change: &mut Change) -> Result<Option<Timestamp>> {
    let retention = settings::read(&mut change.tx).await?.retention;
    let days = |days: RetentionDays| SignedDuration::from_hours(24 * i64::from(days.get()));
    Ok(retention
        .agent_events_days
        .map(|kept| earlier(change.now, days(kept))))
}

/// A time before the calendar begins is its beginning.
fn earlier(now: Timestamp, duration: SignedDuration) -> Timestamp {
    now.checked_sub(duration).unwrap_or(Timestamp::MIN)
}
