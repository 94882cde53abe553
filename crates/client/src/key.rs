use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use brokkr_core::pak::Pak;

use crate::Client;

/// The key that requests carry. All clones of a client carry the same.
#[derive(Clone)]
pub(crate) struct Key {
    current: Arc<RwLock<Pak>>,
    /// Where a newer one may be found.
    source: Option<Source>,
}

type Source = Arc<dyn Fn() -> Option<Pak> + Send + Sync>;

impl Key {
    pub(crate) fn new(pak: Pak) -> Self {
        Self {
            current: Arc::new(RwLock::new(pak)),
            source: None,
        }
    }

    pub(crate) fn current(&self) -> Pak {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Looks for a newer key, because the broker did not know this one.
    pub(crate) fn refused(&self) {
        if let Some(pak) = self.source.as_ref().and_then(|source| source()) {
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = pak;
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.current().fmt(f)
    }
}

impl Client {
    /// Asks `source` for the key whenever the broker does not know the one in use: the next request carries
    /// what it gives. So a key can be rotated under a process that keeps running.
    #[must_use]
    pub fn rereading_key(
        mut self,
        source: impl Fn() -> Option<Pak> + Send + Sync + 'static,
    ) -> Self {
        self.key.source = Some(Arc::new(source));
        self
    }
}
