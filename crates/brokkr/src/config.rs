//! The file that `brokkr login` writes: which brokers there are, and the key for each.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use serde::{Deserialize, Serialize};

use crate::key_file::flush_folder;

/// Every broker that somebody signed in to, by the name given to it.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The context that is used unless another is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// The contexts.
    #[serde(default)]
    pub contexts: BTreeMap<String, Context>,
}

/// A broker and the key for it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// The broker's address.
    pub server: String,
    /// The key.
    pub key: String,
    /// The key of a rotation, until it has worked once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_key: Option<String>,
    /// Whether the key may travel unencrypted beyond this machine.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plain_http: bool,
    /// The certificate of an authority that is believed besides those that the system knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

impl Config {
    /// Reads the file; that there is none yet is fine.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            text => text.with_context(|| format!("{} cannot be read", path.display()))?,
        };
        // The parser's own words are left out: they may repeat a key.
        toml::from_str(&text).map_err(|error| {
            let before = error.span().map_or("", |span| &text[..span.start]);
            let line = before.matches('\n').count() + 1;
            anyhow!(
                "{}:{line}: this is no list of contexts — mend the line, or delete the file and sign in again",
                path.display()
            )
        })
    }

    /// Writes the file whole or not at all, readable by its owner only.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        self.replace(path)
            .with_context(|| format!("{} cannot be written", path.display()))
    }

    fn replace(&self, path: &Path) -> anyhow::Result<()> {
        if let Some(folder) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        let part = path.with_extension(format!("{}.part", std::process::id()));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&part)?;
        let written = toml::to_string(self)
            .context("the contexts are no TOML")
            .and_then(|text| Ok(file.write_all(text.as_bytes())?))
            .and_then(|()| Ok(file.sync_all()?))
            .and_then(|()| Ok(fs::rename(&part, path)?))
            .and_then(|()| Ok(flush_folder(path)?));
        if written.is_err() {
            let _ = fs::remove_file(&part);
        }
        written
    }

    /// The context of this name, or the current one.
    pub fn context(&self, name: Option<&str>) -> anyhow::Result<&Context> {
        let name = name
            .or(self.current.as_deref())
            .context("no broker is known yet — sign in with `brokkr login --server URL`")?;
        self.contexts.get(name).with_context(|| {
            format!("there is no context `{name}` — `brokkr context list` shows those there are")
        })
    }
}

/// Where the file is: `$BROKKR_CONFIG`, else `brokkr/config.toml` in the user's configuration folder.
pub fn path() -> anyhow::Result<PathBuf> {
    if let Some(path) = set("BROKKR_CONFIG") {
        return Ok(path);
    }
    let folder = set("XDG_CONFIG_HOME")
        .filter(|folder| folder.is_absolute())
        .or_else(|| Some(env::home_dir()?.join(".config")))
        .context("there is no home folder for the configuration — set BROKKR_CONFIG to a file")?;
    Ok(folder.join("brokkr").join("config.toml"))
}

fn set(variable: &str) -> Option<PathBuf> {
    env::var_os(variable)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn context(server: &str) -> Context {
        Context {
            server: server.to_owned(),
            key: "brokkr_n_secret".to_owned(),
            new_key: None,
            plain_http: false,
            ca_file: None,
        }
    }

    #[test]
    fn what_is_written_is_read_and_is_the_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new").join("config.toml");
        assert!(Config::read(&path).unwrap().contexts.is_empty());
        let mut config = Config {
            current: Some("eu".to_owned()),
            ..Config::default()
        };
        for name in ["eu", "us"] {
            let server = format!("https://{name}.example");
            config.contexts.insert(name.to_owned(), context(&server));
            config.write(&path).unwrap();
        }
        let read = Config::read(&path).unwrap();
        assert_eq!(read.context(None).unwrap().server, "https://eu.example");
        assert_eq!(
            read.context(Some("us")).unwrap().server,
            "https://us.example"
        );
        assert!(read.context(Some("asia")).is_err());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_broken_file_is_named_with_its_line_and_without_its_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        for line in [
            "key = \"brokkr_n_secret\"",
            "contexts = \"brokkr_n_secret\"",
        ] {
            fs::write(&path, format!("current = \"eu\"\n\n{line}\n")).unwrap();
            let error = format!("{:#}", Config::read(&path).err().unwrap());
            assert!(error.contains("config.toml:3:"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
