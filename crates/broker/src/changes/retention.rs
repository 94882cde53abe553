//! What is not kept for ever, forgotten a chunk at a time: the writer must not be held for long.

use brokkr_core::wire::{AuditAction, Retention, RetentionDays};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::error::Result;
use crate::idempotency::REMEMBERED;
use crate::store::agent_events::Position;
use crate::store::{agent_events, audit, changes, idempotency, keys, settings, sign_ins, windows};
use crate::writer::{Change, Lane, Mutation};

/// How long it is kept what a revision touched. A follower that was away for longer reads everything anew.
const CHANGES_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long a row is kept of what was ended or deleted, and which nobody needs any more. The audit says of it what was.
const ENDED_KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);
/// What the audit calls itself, which has no id.
const NAME: &str = "audit";
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

/// Moves the beginning of the audit to where the settings want it, a whole day at a time. It is a change of its own, in the
/// audit: the entry that says so is what the rest is verified by, and what lets the database delete those before.
pub(crate) struct ShortenAudit;

impl Mutation for ShortenAudit {
    type Output = ();

    async fn apply(&self, change: &mut Change) -> Result<()> {
        let before = audit::forgotten(&mut change.tx).await?;
        let last = match since(change, |of| of.audit_days).await? {
            Some(since) => {
                let (newest, tx) = (change.revision - 1, &mut change.tx);
                audit::last_before(day_of(since), before, newest, tx).await?
            }
            None => None,
        };
        let Some(last) = last else {
            change.unchanged();
            return Ok(());
        };
        let (action, subject) = (AuditAction::AuditForget, Some(NAME.to_owned()));
        change.audit(action, (Uuid::nil(), subject), before.as_ref(), Some(&last))
    }
}

/// Forgets a chunk of what nobody needs any more.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Forget {
    /// What revisions touched.
    Changes,
    /// What was made under keys that a repetition may give.
    Repetitions,
    /// Sign-ins that ended.
    SignIns,
    /// Keys that ended.
    Keys,
    /// Windows that were deleted.
    Windows,
    /// Entries before the beginning of the audit.
    Audit,
}

impl Forget {
    pub(crate) const ALL: [Self; 6] = [
        Self::Changes,
        Self::Repetitions,
        Self::SignIns,
        Self::Keys,
        Self::Windows,
        Self::Audit,
    ];
}

impl Mutation for Forget {
    /// Whether there may be more.
    type Output = bool;
    const LANE: Lane = Lane::Ingest;

    async fn apply(&self, change: &mut Change) -> Result<bool> {
        let rows = i64::try_from(CHUNK).unwrap_or(i64::MAX);
        let (now, tx) = (change.now, &mut change.tx);
        let forgotten = match self {
            Self::Changes => changes::forget(earlier(now, CHANGES_KEPT), rows, tx).await?,
            Self::Repetitions => idempotency::forget(earlier(now, REMEMBERED), rows, tx).await?,
            // Before their keys, which they name.
            Self::SignIns => sign_ins::forget(now, rows, tx).await?,
            Self::Keys => keys::forget(earlier(now, ENDED_KEPT), rows, tx).await?,
            Self::Windows => windows::forget(earlier(now, ENDED_KEPT), rows, tx).await?,
            Self::Audit => audit::forget(rows, tx).await?,
        };
        Ok(forgotten == CHUNK as u64)
    }
}

/// Since when agent events are kept, if not all are.
pub(super) async fn events_since(change: &mut Change) -> Result<Option<Timestamp>> {
    since(change, |of| of.agent_events_days).await
}

async fn since(
    change: &mut Change,
    days: fn(&Retention) -> Option<RetentionDays>,
) -> Result<Option<Timestamp>> {
    let retention = settings::read(&mut change.tx).await?.retention;
    let kept = |days: RetentionDays| SignedDuration::from_hours(24 * i64::from(days.get()));
    Ok(days(&retention).map(|days| earlier(change.now, kept(days))))
}

/// A time before the calendar begins is its beginning.
fn earlier(now: Timestamp, duration: SignedDuration) -> Timestamp {
    now.checked_sub(duration).unwrap_or(Timestamp::MIN)
}

/// When the day of a time began, in UTC.
fn day_of(time: Timestamp) -> Timestamp {
    let day = SignedDuration::from_hours(24).as_secs();
    let into_it = time.as_second().rem_euclid(day);
    let began = Timestamp::from_second(time.as_second() - into_it);
    began.unwrap_or(Timestamp::MIN)
}
