use brokkr_core::Epoch;
use brokkr_core::wire::Epochs;
use reqwest::Method;

use crate::{Client, Result};

/// Which history a broker's database is.
impl Client {
    /// Its own, and those that it was declared to continue.
    pub async fn epochs(&self) -> Result<Epochs> {
        self.get(&["epochs"]).await
    }

    /// Declares that the broker continues another history.
    pub async fn accept_epoch(&self, epoch: Epoch) -> Result<Epochs> {
        let path = ["epochs", &epoch.to_string(), "accept"];
        self.json(self.request(Method::POST, &path)).await
    }
}
