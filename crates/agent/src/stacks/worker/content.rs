use std::sync::Arc;

use brokkr_core::wire::TargetStack;

use super::Worker;
use crate::Error;

impl Worker {
    /// The text of an entry, fetched once.
    pub(super) async fn content(&mut self, entry: &TargetStack) -> Result<Arc<str>, Error> {
        let workshop = self.workshop.clone();
        let cache = &workshop.settings.cache;
        if let Some(text) = cache.content(entry).await {
            return Ok(text.into());
        }
        let text = workshop.download(entry).await?;
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
