use brokkr_core::KeptKind;
use brokkr_core::wire::OnRemove;
use serde::Deserialize;
use utoipa::IntoParams;

use super::preview::{Only, Preview};
use crate::error::{Error, Result};

/// How a removal goes.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RemovalQuery {
    /// What happens to the objects; the stack's own policy if absent.
    pub(super) policy: Option<OnRemove>,
    /// Kept kinds whose objects are deleted too, separated by commas.
    allow_delete: Option<String>,
    /// `only`: answer with the plan of what would end, and store nothing.
    #[param(inline)]
    plan: Option<Only>,
}

impl RemovalQuery {
    pub(super) fn allow_delete(&self) -> Result<Vec<KeptKind>> {
        kept_kinds(self.allow_delete.as_deref())
    }

    pub(super) const fn preview(&self) -> Preview {
        Preview { plan: self.plan }
    }
}

/// Reads the kinds of a query's `allow_delete`.
pub(super) fn kept_kinds(text: Option<&str>) -> Result<Vec<KeptKind>> {
    let kinds = text
        .unwrap_or_default()
        .split(',')
        .filter(|kind| !kind.is_empty());
    let invalid = |reason: String| Error::invalid("/allow_delete", reason);
    kinds.map(|kind| kind.parse().map_err(invalid)).collect()
}
