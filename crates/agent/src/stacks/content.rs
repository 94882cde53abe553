//! The contents that entries of the target state name.

use std::sync::Arc;

use brokkr_core::Digest;
use brokkr_core::failpoint::Point;
use brokkr_core::mutant::Mutant;
use brokkr_core::wire::TargetStack;

use super::Workshop;
use crate::Error;

impl Workshop {
    /// The text of an entry, wherever it is.
    pub(crate) async fn content(&self, entry: &TargetStack) -> Result<Arc<str>, Error> {
        match self.settings.cache.content(entry).await {
            Some(text) => Ok(text.into()),
            None => self.download(entry).await.map(Into::into),
        }
    }

    /// The text of an entry as the broker has it, checked against its digest.
    pub(super) async fn download(&self, entry: &TargetStack) -> Result<String, Error> {
        let _turn = self.downloads.acquire().await;
        let broker = self.session.broker()?;
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
        Ok(text)
    }
}
