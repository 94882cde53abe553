//! Stops an attempt between two objects, because the order that it follows was taken back.

use std::fmt;
use std::sync::Arc;

/// Asked before each object that is written or deleted; one that was begun is finished.
#[derive(Clone, Default)]
pub(crate) struct Brake(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl Brake {
    /// A brake that is pulled whenever this is so.
    pub(crate) fn when(is_pulled: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(is_pulled)))
    }

    pub(crate) fn is_pulled(&self) -> bool {
        self.0.as_ref().is_some_and(|is_pulled| is_pulled())
    }
}

impl fmt::Debug for Brake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Brake({})", self.is_pulled())
    }
}
