use brokkr_core::name::Reference;
use brokkr_core::wire::{CreateWindow, Window};
use reqwest::Method;

use crate::{Client, Result};

/// When agents may bring something new.
impl Client {
    /// All maintenance windows.
    pub async fn windows(&self) -> Result<Vec<Window>> {
        self.list(&["windows"], &[]).await
    }

    /// Creates a maintenance window.
    pub async fn create_window(&self, create: &CreateWindow) -> Result<Window> {
        self.post(&["windows"], create).await
    }

    /// Deletes a maintenance window.
    pub async fn delete_window(&self, window: &Reference) -> Result<()> {
        let path = ["windows", &window.to_string()];
        self.send(self.request(Method::DELETE, &path))
            .await
            .map(drop)
    }
}
