use std::sync::Arc;

use brokkr_core::Digest;
use brokkr_core::failpoint::Point;
use brokkr_core::mutant::Mutant;
use brokkr_core::wire::TargetStack;

use crate::Error;
use crate::stacks::Workshop;

/// The content that was fetched last; compressed, since it is needed only now and then.
#[derive(Default)]
pub(super) struct Content(Option<(Digest, Vec<u8>)>);

impl Content {
    /// The text of an entry, fetched once and checked against its digest.
    pub(super) async fn of(
        &mut self,
        entry: &TargetStack,
        workshop: &Workshop,
    ) -> Result<Arc<str>, Error> {
        if let Some((digest, compressed)) = &self.0
            && *digest == entry.digest
        {
            let bytes = zstd::decode_all(compressed.as_slice()).map_err(unreadable)?;
            return String::from_utf8(bytes).map(Arc::from).map_err(unreadable);
        }
        let _turn = workshop.downloads.acquire().await;
        let text = workshop.broker.manifests(entry.deployment_object).await?;
        Point::ContentReceived.reached();
        let received = Digest::of(entry.default_namespace.as_deref(), &text);
        if received != entry.digest && !Mutant::DigestUnchecked.is_on() {
            return Err(Error::WrongContent {
                expected: entry.digest,
                received,
            });
        }
        Point::ContentChecked.reached();
        let compressed = zstd::encode_all(text.as_bytes(), 0).map_err(unreadable)?;
        self.0 = Some((entry.digest, compressed));
        Ok(text.into())
    }
}

fn unreadable(error: impl std::fmt::Display) -> Error {
    Error::Unreadable(error.to_string())
}
