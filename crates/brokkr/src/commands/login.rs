use std::io;
use std::path::PathBuf;

use anyhow::Context as _;
use brokkr_client::Client;
use brokkr_core::pak::Pak;
use clap::Args;

use super::whoami::describe;
use crate::config::{self, Config, Context};
use crate::connection::{Trust, given_key, plain_http};
use crate::terminal::{is_interactive, say};

/// Sign in to a broker, so that other commands know it
///
/// The key is taken from --key-file, else from the variable BROKKR_KEY, else from the terminal (without showing it) or from stdin.
/// It is checked, and kept in a file that only you may read: $BROKKR_CONFIG, else brokkr/config.toml in your configuration folder.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr login --server http://127.0.0.1:8080 --key-file brokkr-admin.key
  brokkr login --server https://broker.example --context eu
  brokkr login --server https://broker.internal --ca-file ca.crt --key-file my.key")]
pub struct Login {
    /// The broker's address
    #[arg(long, env = "BROKKR_SERVER", value_name = "URL")]
    server: String,

    /// The file that holds your key
    #[arg(long, env = "BROKKR_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,

    /// What to call this broker
    #[arg(
        long,
        env = "BROKKR_CONTEXT",
        value_name = "NAME",
        default_value = "default"
    )]
    context: String,

    /// Send the key unencrypted, even to another machine
    #[arg(long, env = "BROKKR_PLAIN_HTTP")]
    plain_http: bool,

    #[command(flatten)]
    trust: Trust,
}

impl Login {
    pub async fn run(self) -> anyhow::Result<()> {
        let path = config::path()?;
        let mut config = Config::read(&path)?;
        refuse_other_server(&config, &self.context, &self.server)?;
        let key = match given_key(self.key_file.as_deref())? {
            Some(key) => key,
            None => ask_for_key(&self.server)?,
        };
        let (plain, authorities) = (plain_http(self.plain_http), self.trust.authorities()?);
        let client = Client::trusting(&self.server, key.clone(), plain, &authorities)?;
        let me = client.me().await?;
        let context = Context {
            server: self.server.clone(),
            key: key.expose().to_owned(),
            new_key: None,
            plain_http: self.plain_http,
            // Commands run in any folder.
            ca_file: self.trust.ca_file.map(std::path::absolute).transpose()?,
        };
        config.contexts.insert(self.context.clone(), context);
        config.current = Some(self.context.clone());
        config.write(&path)?;
        say(&format!(
            "Signed in to {} as {}; this is context `{}` now.",
            self.server,
            describe(&me),
            self.context
        ));
        Ok(())
    }
}

/// The key of another broker would be lost, and it was shown only once.
fn refuse_other_server(config: &Config, name: &str, server: &str) -> anyhow::Result<()> {
    match config.contexts.get(name) {
        Some(known) if known.server != server => anyhow::bail!(
            "context `{name}` is {} — choose another name with --context, or delete it first: brokkr context delete {name}",
            known.server
        ),
        _ => Ok(()),
    }
}

fn ask_for_key(server: &str) -> anyhow::Result<Pak> {
    let text = if is_interactive() {
        rpassword::prompt_password(format!("Key for {server}: "))
            .context("the key cannot be read from the terminal")?
    } else {
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        line
    };
    Ok(text.trim().parse()?)
}
