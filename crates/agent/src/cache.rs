//! What an agent keeps to go on without its broker: the target state that it accepted last, the contents that this names,
//! and events that were not told yet. In memory it lasts as long as the process, in a folder beyond it.
//!
//! Nothing here is believed for being here: the root record in the cluster names the state by its fingerprint, and the state
//! names the contents by their digests.

mod folder;
mod kept;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::Error;
use folder::Folder;

/// Whose the folder is.
const OWNER: &str = "owner";

/// A store of small files. Clones are the same store.
#[derive(Clone, Default)]
pub struct Cache {
    folder: Option<Folder>,
    /// Everything, or what the folder could not take.
    memory: Arc<Mutex<BTreeMap<String, Bytes>>>,
}

impl Cache {
    /// A cache that ends with the process.
    pub fn in_memory() -> Self {
        Self::default()
    }

    /// A cache in a folder, which is made if it is missing. Only its owner may read what is put there: manifests may
    /// hold Secrets.
    ///
    /// # Errors
    /// If nothing can be written there.
    pub fn in_folder(path: &Path) -> Result<Self, Error> {
        let folder = Folder::open(path).map_err(|error| {
            let path = path.display();
            Error::Setup(format!(
                "the cache folder {path} cannot be used: {error} — name another one with --cache-dir, or leave it out"
            ))
        })?;
        Ok(Self {
            folder: Some(folder),
            memory: Arc::default(),
        })
    }

    /// The cache as this owner may use it: a folder that is somebody else's is left alone.
    pub(crate) async fn owned_by(mut self, owner: &str) -> Self {
        match self.read(OWNER).await {
            None => self.write(OWNER, Bytes::from(owner.to_owned())).await,
            Some(found) if found == owner.as_bytes() => {}
            Some(_) => {
                if let Some(folder) = self.folder.take() {
                    tracing::error!(
                        folder = %folder.path().display(),
                        "the cache folder is another agent's, or of another cluster: it is not used; delete it if that is no more, or name another one with --cache-dir"
                    );
                }
            }
        }
        self
    }

    /// Puts something in the place of what has this name. What the folder does not take is kept in memory.
    pub(crate) async fn write(&self, name: &str, bytes: Bytes) {
        if let Some(folder) = &self.folder {
            match folder.write(name, bytes.clone()).await {
                Ok(()) => {
                    self.memory().remove(name);
                    return;
                }
                Err(error) => self.warn(
                    &error,
                    "this is kept in memory only, and lost at the next start",
                ),
            }
        }
        self.memory().insert(name.to_owned(), bytes);
    }

    pub(crate) async fn read(&self, name: &str) -> Option<Bytes> {
        if let Some(bytes) = self.memory().get(name) {
            return Some(bytes.clone());
        }
        match self.folder.as_ref()?.read(name).await {
            Ok(bytes) => bytes,
            Err(error) => {
                self.warn(&error, "a file cannot be read: it is taken for missing");
                None
            }
        }
    }

    pub(crate) async fn remove(&self, name: &str) {
        self.memory().remove(name);
        if let Some(folder) = &self.folder
            && let Err(error) = folder.remove(name).await
        {
            self.warn(
                &error,
                "a file that is not needed any more cannot be removed",
            );
        }
    }

    /// The names that begin so, in order.
    pub(crate) async fn names(&self, prefix: &str) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = self.memory().keys().cloned().collect();
        if let Some(folder) = &self.folder {
            match folder.names().await {
                Ok(found) => names.extend(found),
                Err(error) => self.warn(&error, "what is in it cannot be seen"),
            }
        }
        names.retain(|name| name.starts_with(prefix));
        names
    }

    fn warn(&self, error: &io::Error, what: &str) {
        let folder = self.folder.as_ref().map(|folder| folder.path().to_owned());
        let folder = folder.unwrap_or_default();
        tracing::warn!(%error, folder = %folder.display(), "the cache folder: {what}");
    }

    fn memory(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cache {
    /// Where it is; what is in it may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.folder {
            Some(folder) => write!(f, "a cache in {}", folder.path().display()),
            None => f.write_str("a cache in memory"),
        }
    }
}
