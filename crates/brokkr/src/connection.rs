//! Which broker a command talks to, and with which key.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use brokkr_client::{Authorities, Client, PlainHttp};
use brokkr_core::pak::Pak;
use clap::Args;

use crate::config::{self, Config};
use crate::failure::Usage;
use crate::key_file;

/// Which broker to talk to.
#[derive(Args)]
#[command(next_help_heading = "Broker")]
pub struct Connection {
    /// One of the brokers that you signed in to, instead of the current one. The variables
    /// BROKKR_SERVER and BROKKR_KEY_FILE (or BROKKR_KEY) name a broker without signing in
    #[arg(long, env = "BROKKR_CONTEXT", value_name = "NAME")]
    context: Option<String>,

    #[command(flatten)]
    trust: Trust,
}

/// Whom to believe.
#[derive(Args)]
pub struct Trust {
    /// Believe the authority of this certificate (PEM) too, besides those that the system knows
    #[arg(long, env = "BROKKR_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

impl Trust {
    /// The authorities in the file.
    pub fn authorities(&self) -> anyhow::Result<Authorities> {
        authorities(self.ca_file.as_deref())
    }
}

fn authorities(file: Option<&Path>) -> anyhow::Result<Authorities> {
    Ok(file.map(Authorities::read).transpose()?.unwrap_or_default())
}

impl Connection {
    /// The connection. Nothing is sent yet.
    pub fn client(&self) -> anyhow::Result<Client> {
        match (variable("BROKKR_SERVER"), &self.context) {
            (Some(_), Some(_)) => Err(Usage(
                "both a context and BROKKR_SERVER say which broker: leave out --context \
                 (BROKKR_CONTEXT), or unset BROKKR_SERVER"
                    .to_owned(),
            )
            .into()),
            (Some(server), None) => client_of_variables(&server, &self.trust),
            (None, context) => client_of_context(context.as_deref(), &self.trust),
        }
    }
}

/// The key in a context stays with the broker of that context: another address needs its own.
fn client_of_variables(server: &str, trust: &Trust) -> anyhow::Result<Client> {
    let file = variable("BROKKR_KEY_FILE").map(PathBuf::from);
    let key = given_key(file.as_deref())?
        .context("BROKKR_SERVER is set without a key — set BROKKR_KEY_FILE or BROKKR_KEY too")?;
    let plain = plain_http(variable("BROKKR_PLAIN_HTTP").is_some());
    Ok(Client::trusting(server, key, plain, &trust.authorities()?)?)
}

fn client_of_context(name: Option<&str>, trust: &Trust) -> anyhow::Result<Client> {
    let path = config::path()?;
    let config = Config::read(&path)?;
    let context = config.context(name)?;
    let key = context
        .key
        .parse()
        .with_context(|| format!("in {}", path.display()))?;
    let plain = plain_http(context.plain_http);
    let ca_file = trust.ca_file.as_ref().or(context.ca_file.as_ref());
    let authorities = authorities(ca_file.map(PathBuf::as_path))?;
    Ok(Client::trusting(&context.server, key, plain, &authorities)?)
}

/// The key in the given file, else the one in `$BROKKR_KEY`. It is no flag: every process sees arguments.
pub fn given_key(file: Option<&Path>) -> anyhow::Result<Option<Pak>> {
    match file {
        Some(file) => key_file::read(file).map(Some),
        None => variable("BROKKR_KEY")
            .map(|key| key.trim().parse().context("in BROKKR_KEY"))
            .transpose(),
    }
}

/// What a flag says about unencrypted keys.
pub fn plain_http(anywhere: bool) -> PlainHttp {
    if anywhere {
        PlainHttp::Anywhere
    } else {
        PlainHttp::LoopbackOnly
    }
}

/// A variable that says something.
pub fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
