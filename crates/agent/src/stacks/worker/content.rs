use std::sync::Arc;

use brokkr_core::Digest;
use brokkr_core::failpoint::Point;
use brokkr_core::mutant::Mutant;
use brokkr_core::wire::TargetStack;

use super::Worker;
use crate::Error;

impl Worker {
    /// The text of an entry, fetched once and checked against its digest.
    pub(super) async fn content(&mut self, entry: &TargetStack) -> Result<Arc<str>, Error> {
        let workshop = self.workshop.clone();
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
        self.keep_contents(entry).await;
        Ok(text.into())
    }

    /// Lets all contents go but this one and the one that was applied last, which is kept while a newer one waits.
    async fn keep_contents(&mut self, entry: &TargetStack) {
        let reconciler = &self.workshop.reconciler;
        // Where the records cannot be read, the next content lets go of more.
        let Ok(applied) = reconciler.applied(&mut self.stack, entry).await else {
            return;
        };
        let applied = applied.map_or(entry.digest, |applied| applied.digest);
        let cache = &self.workshop.settings.cache;
        cache
            .keep_contents(entry.stack, &[entry.digest, applied])
            .await;
    }
}
