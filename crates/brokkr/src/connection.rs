//! Which broker a command talks to, and with which key.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use brokkr_client::{Authorities, Client, PlainHttp};
use brokkr_core::pak::Pak;
use clap::Args;

use crate::failure::Usage;
use crate::key_file;

mod told;

pub use told::Told;

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
        self.told()?.client()
    }

    /// What is said of the broker, and where.
    pub fn told(&self) -> anyhow::Result<Told> {
        match (variable("BROKKR_SERVER"), &self.context) {
            (Some(_), Some(_)) => Err(Usage(
                "both a context and BROKKR_SERVER say which broker: leave out --context \
                 (BROKKR_CONTEXT), or unset BROKKR_SERVER"
                    .to_owned(),
            )
            .into()),
            (Some(server), None) => Ok(self.told_by_hand(server, "BROKKR_SERVER", None, false)),
            (None, context) => Told::in_context(context.as_deref(), &self.trust),
        }
    }

    /// What is said of the broker at an address that stands in no context.
    pub fn told_by_hand(
        &self,
        server: String,
        server_from: &str,
        key_file: Option<PathBuf>,
        plain_http: bool,
    ) -> Told {
        Told::by_hand(server, server_from, key_file, plain_http, &self.trust)
    }

    /// Whether something else than the current context is meant.
    pub fn names_broker(&self) -> bool {
        self.context.is_some() || variable("BROKKR_SERVER").is_some()
    }
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
