//! What a command is told of its broker, before anything is made of it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use brokkr_client::{Client, PlainHttp, Probe};
use brokkr_core::pak::Pak;

use super::{Trust, authorities, given_key, plain_http, variable};
use crate::config::{self, Config};

/// What is said of a broker, and where it is said.
pub struct Told {
    /// The broker's address.
    pub server: String,
    /// Where the address is said, such as `BROKKR_SERVER`.
    pub server_from: String,
    /// The key, or why there is none to use.
    pub key: anyhow::Result<Pak>,
    /// Where the key lies, such as the path of its file.
    pub key_from: String,
    plain: PlainHttp,
    ca_file: Option<PathBuf>,
}

impl Told {
    /// The key in a context stays with the broker of that context: another address needs its own.
    pub(super) fn by_hand(
        server: String,
        server_from: &str,
        key_file: Option<PathBuf>,
        anywhere: bool,
        trust: &Trust,
    ) -> Self {
        let file = key_file.or_else(|| variable("BROKKR_KEY_FILE").map(PathBuf::from));
        let key = given_key(file.as_deref()).and_then(|key| {
            key.with_context(|| {
                format!(
                    "{server_from} is set without a key — set BROKKR_KEY_FILE or BROKKR_KEY too"
                )
            })
        });
        let in_file = file.map(|file| file.display().to_string());
        Self {
            server,
            server_from: server_from.to_owned(),
            key,
            key_from: in_file.unwrap_or_else(|| "BROKKR_KEY".to_owned()),
            plain: plain_http(anywhere || variable("BROKKR_PLAIN_HTTP").is_some()),
            ca_file: trust.ca_file.clone(),
        }
    }

    /// The context of this name, or the current one.
    pub(super) fn in_context(name: Option<&str>, trust: &Trust) -> anyhow::Result<Self> {
        let path = config::path()?;
        let config = Config::read(&path)?;
        let context = config.context(name)?;
        let name = name.or(config.current.as_deref()).unwrap_or_default();
        let from = format!("context `{name}`");
        let key = context.key.parse();
        Ok(Self {
            server: context.server.clone(),
            server_from: from.clone(),
            key: key.with_context(|| format!("in {}", path.display())),
            key_from: from,
            plain: plain_http(context.plain_http),
            ca_file: trust.ca_file.clone().or_else(|| context.ca_file.clone()),
        })
    }

    /// The same broker with the key in this file.
    pub fn with_key_in(self, file: &Path) -> Self {
        Self {
            key: crate::key_file::read(file),
            key_from: file.display().to_string(),
            ..self
        }
    }

    /// A look at the broker without the key. Nothing is sent yet.
    pub fn probe(&self) -> anyhow::Result<Probe> {
        let authorities = authorities(self.ca_file.as_deref())?;
        Ok(Probe::new(&self.server, self.plain, &authorities)?)
    }

    /// The connection. Nothing is sent yet.
    pub fn client(self) -> anyhow::Result<Client> {
        let key = self.key?;
        let authorities = authorities(self.ca_file.as_deref())?;
        Ok(Client::trusting(
            &self.server,
            key,
            self.plain,
            &authorities,
        )?)
    }
}
