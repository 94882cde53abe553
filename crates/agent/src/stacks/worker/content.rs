use std::sync::Arc;

use brokkr_core::Digest;
use brokkr_core::failpoint::Point;
use brokkr_core::mutant::Mutant;
use brokkr_core::wire::TargetStack;

use crate::Error;
use crate::stacks::Workshop;

/// The text of an entry, fetched once and checked against its digest.
pub(super) async fn content(entry: &TargetStack, workshop: &Workshop) -> Result<Arc<str>, Error> {
    let cache = &workshop.settings.cache;
    if let Some(text) = cache.content(entry).await {
        return Ok(text.into());
    }
    let _turn = workshop.downloads.acquire().await;
    let broker = workshop.session.broker()?;
    let text = broker.manifests(entry.deployment_object).await?;
    Point::ContentReceived.reached();
    let received = Digest::of(entry.default_namespace.as_deref(), &text);
    if received != entry.digest && !Mutant::DigestUnchecked.is_on() {
        return Err(Error::WrongContent {
            expected: entry.digest,
            received,
        });
    }
    Point::ContentChecked.reached();
    cache.keep_content(entry, &text).await?;
    Ok(text.into())
}
