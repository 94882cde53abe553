//! Where a key lies, and where the new one waits beside it until it has worked.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use brokkr_core::pak::Pak;

use crate::config::{self, Config, Context};
use crate::key_file;

/// Where a key lies.
pub enum Place {
    /// A key file; the new key waits in a file of the same name with `.new` at its end.
    File(PathBuf),
    /// A context of the configuration; the new key waits in a line of its own.
    Context { path: PathBuf, name: String },
}

impl Place {
    /// The context of this name, or the current one.
    pub fn context(name: Option<&str>) -> anyhow::Result<(Self, Context)> {
        let path = config::path()?;
        let config = Config::read(&path)?;
        let context = config.context(name)?.clone();
        let name = name.or(config.current.as_deref()).unwrap_or_default();
        let name = name.to_owned();
        Ok((Self::Context { path, name }, context))
    }

    /// The key in use.
    pub fn key(&self) -> anyhow::Result<Pak> {
        match self {
            Self::File(file) => key_file::read(file),
            Self::Context { path, name } => {
                let key = Config::read(path)?.context(Some(name))?.key.parse();
                key.with_context(|| format!("in {}", path.display()))
            }
        }
    }

    /// The key of a rotation that was cut short.
    pub fn new_key(&self) -> anyhow::Result<Option<Pak>> {
        match self {
            Self::File(file) => {
                let new = beside(file);
                // One that was made and never written to holds no key.
                let is_there = std::fs::metadata(&new).is_ok_and(|file| file.len() > 0);
                is_there.then(|| key_file::read(&new)).transpose()
            }
            Self::Context { path, name } => {
                let new = Config::read(path)?.context(Some(name))?.new_key.clone();
                let new = new.map(|key| key.parse()).transpose();
                new.with_context(|| format!("in {}", path.display()))
            }
        }
    }

    /// Makes sure, before there is a key, that it has a place to go to.
    pub fn prepare(&self) -> anyhow::Result<()> {
        match self {
            Self::File(file) => key_file::replace(&beside(file), "", file),
            Self::Context { path, .. } => Config::read(path)?.write(path),
        }
    }

    /// Takes the place back: there was no key for it.
    pub fn abandon(&self) {
        if let Self::File(file) = self {
            let _ = std::fs::remove_file(beside(file));
        }
    }

    /// Keeps the new key beside the old one.
    pub fn keep(&self, key: &str) -> anyhow::Result<()> {
        match self {
            Self::File(file) => key_file::replace(&beside(file), key, file),
            Self::Context { .. } => self.change(|context| context.new_key = Some(key.to_owned())),
        }
    }

    /// Puts the new key in the place of the old one.
    pub fn promote(&self) -> anyhow::Result<()> {
        match self {
            Self::File(file) => std::fs::rename(beside(file), file)
                .with_context(|| format!("the key file {} cannot be replaced", file.display())),
            Self::Context { .. } => self.change(|context| {
                if let Some(key) = context.new_key.take() {
                    context.key = key;
                }
            }),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Context)) -> anyhow::Result<()> {
        let Self::Context { path, name } = self else {
            return Ok(());
        };
        // Read again: another command may have changed another context meanwhile.
        let mut config = Config::read(path)?;
        if let Some(context) = config.contexts.get_mut(name) {
            change(context);
        }
        config.write(path)
    }
}

fn beside(file: &Path) -> PathBuf {
    let mut new = file.as_os_str().to_owned();
    new.push(".new");
    new.into()
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => file.display().fmt(f),
            Self::Context { name, .. } => write!(f, "context `{name}`"),
        }
    }
}
