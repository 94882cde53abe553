//! How much a generator may have, read in the change that would exceed it.

use std::time::Duration;

use uuid::Uuid;

use crate::error::{Error, Result};
use crate::scope::Scope;
use crate::store::{generators, stacks};
use crate::writer::Change;

/// Refuses one stack too many.
pub(super) async fn of_stacks(scope: &Scope, change: &mut Change) -> Result<()> {
    let Scope::Of(generator, _) = scope else {
        return Ok(());
    };
    let most = generators::quota(*generator, &mut change.tx).await?.stacks;
    let has = stacks::count(scope.owner(), &mut change.tx).await?;
    if has >= most {
        return Err(Error::QuotaExceeded(format!(
            "this generator may have {most} stacks and has {has}: delete one, or ask an admin for a larger quota"
        )));
    }
    Ok(())
}

/// Counts a publish, with the bytes that it added, for the stack's owner, and refuses a generator what is
/// more than its quota. Operators may publish beyond it.
pub(super) async fn of_publish(
    owner: Uuid,
    scope: &Scope,
    added: u64,
    change: &mut Change,
) -> Result<()> {
    let minute = change.now.as_second() / 60;
    let usage = generators::charge(owner, added, minute, &mut change.tx).await?;
    let (Some(usage), Scope::Of(..)) = (usage, scope) else {
        return Ok(());
    };
    let quota = usage.quota;
    if usage.stored_bytes > quota.bytes {
        return Err(Error::QuotaExceeded(format!(
            "this generator may keep {} bytes of history, and this would make {}: ask an admin for a larger quota",
            quota.bytes, usage.stored_bytes
        )));
    }
    if usage.minute_publishes > quota.publishes_per_minute {
        return Err(Error::TooMany {
            what: format!(
                "this generator may publish {} times a minute: an admin can give it a larger quota",
                quota.publishes_per_minute
            ),
            retry_after: Duration::from_mins(1),
        });
    }
    Ok(())
}
