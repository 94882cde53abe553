use brokkr_core::wire::{PatchSettings, Settings};

use crate::{Client, Result};

/// What operators settle for the whole broker.
impl Client {
    /// The broker's settings.
    pub async fn settings(&self) -> Result<Settings> {
        self.get(&["settings"]).await
    }

    /// Changes the broker's settings.
    pub async fn patch_settings(&self, patch: &PatchSettings) -> Result<Settings> {
        self.patch(&["settings"], patch).await
    }

    /// The same, refused if they were edited since they were `seen`.
    pub async fn patch_seen_settings(
        &self,
        seen: &Settings,
        patch: &PatchSettings,
    ) -> Result<Settings> {
        self.patch_seen(&["settings"], seen.revision, patch).await
    }
}
