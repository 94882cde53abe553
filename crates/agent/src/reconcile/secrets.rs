//! What the Secrets of a stack hold, so that it can be kept in the cluster.

use std::sync::Arc;

use brokkr_core::ObjectKey;
use futures::FutureExt;
use serde_json::{Map, Value};

use super::{KINDS_AGE, Reconciler};
use crate::Error;
use crate::cluster::{Cluster, Resource};
use crate::inventory::Inventory;
use crate::outcome::is_secret;
use crate::redact::{self, Redactor};
use crate::validate;

/// All values of a stack together, in bytes. No stack that people read about has more.
const MOST: usize = 8 * 1024 * 1024;

impl Reconciler {
    /// Knows what the Secrets of a stack hold: by the contents that it may be made of, and as they are in the cluster now, where
    /// others may have filled them. What cannot be known is an error, for then nothing may be told.
    pub(super) async fn redactor(
        &self,
        cluster: &Cluster,
        inventory: &Inventory,
        contents: &[Arc<str>],
    ) -> Result<Redactor, Error> {
        let unknown = |error: Error| Error::SecretsUnknown(error.to_string());
        let mut values = Vec::new();
        for text in contents {
            let _turn = self.reading.acquire().await;
            let manifests = validate::parse(text, None).await.map_err(unknown)?;
            let secrets = manifests.iter().filter(|m| is_secret(&m.key(None)));
            values.extend(secrets.flat_map(|secret| redact::values(&secret.object)));
        }
        values.extend(live_values(cluster, inventory).await.map_err(unknown)?);
        if values.iter().map(Vec::len).sum::<usize>() > MOST {
            let words = format!("they hold more than {} MiB", MOST / 1024 / 1024);
            return Err(Error::SecretsUnknown(words));
        }
        Ok(Redactor::of(values))
    }
}

async fn live_values(cluster: &Cluster, inventory: &Inventory) -> Result<Vec<Vec<u8>>, Error> {
    let kinds = cluster.kinds(KINDS_AGE).await?;
    let secrets = inventory.entries().iter();
    let secrets = secrets.filter(|(key, _)| is_secret(key));
    let looks: Vec<_> = secrets
        .map(|(key, entry)| {
            let resource = kinds.current(key, &entry.resource);
            live_values_of(cluster, key, resource).boxed()
        })
        .collect();
    let found: Result<Vec<_>, Error> = cluster.together(looks).await.into_iter().collect();
    Ok(found?.into_iter().flatten().collect())
}

async fn live_values_of(
    cluster: &Cluster,
    key: &ObjectKey,
    resource: Resource,
) -> Result<Vec<Vec<u8>>, Error> {
    let found: Option<Map<String, Value>> = cluster.get(&resource, key).await?;
    Ok(found.as_ref().map(redact::values).unwrap_or_default())
}
