use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use brokkr_client::{Authorities, Client, PlainHttp};
use brokkr_core::pak::Pak;
use brokkr_core::wire::{self, Code};
use clap::Args;

use super::key::{describe, end_of_old};
use crate::connection::{Trust, plain_http, variable};
use crate::duration;
use crate::failure::Usage;
use crate::terminal::say;

mod place;

use place::Place;

/// Put a new key in the place of your own, or of an agent's or a generator's whose key file you have
///
/// The new key is kept beside the old one until it has worked once, then it takes the old one's place: in the key
/// file, or in the context. An agent that runs with that key file goes on with the new key by itself.
/// Repeat the command if it was cut short: it goes on where it was.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr rotate-key
  brokkr rotate-key --key-file eu-1.key --overlap 1h")]
pub struct RotateKey {
    /// The file whose key to rotate, instead of the context's key
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,

    /// The broker's address, for --key-file [default: the context's]
    #[arg(long, value_name = "URL", requires = "key_file")]
    server: Option<String>,

    /// Send the key unencrypted to --server, even to another machine
    #[arg(long, requires = "server")]
    plain_http: bool,

    /// One of the brokers that you signed in to, instead of the current one
    #[arg(long, env = "BROKKR_CONTEXT", value_name = "NAME")]
    context: Option<String>,

    #[command(flatten)]
    trust: Trust,

    /// The old key ends after so long, whether or not the new one was used [default: with the first use of the new one]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    overlap: Option<Duration>,
}

/// Where the broker is.
struct Server {
    url: String,
    plain: PlainHttp,
    authorities: Authorities,
}

impl Server {
    fn client(&self, key: Pak) -> anyhow::Result<Client> {
        let Self {
            url,
            plain,
            authorities,
        } = self;
        Ok(Client::trusting(url, key, *plain, authorities)?)
    }
}

impl RotateKey {
    pub async fn run(self) -> anyhow::Result<()> {
        let (place, server) = self.find()?;
        if let Some(new) = place.new_key()? {
            match server.client(new)?.me().await {
                Ok(_) => {
                    place.promote()?;
                    say(&format!(
                        "A rotation was cut short before: {place} has its new key now."
                    ));
                    return Ok(());
                }
                // Nobody used it for a day, or another one came after it.
                Err(error) if error.code() == Some(Code::Unauthenticated) => {}
                Err(error) => return Err(error.into()),
            }
        }
        place.prepare()?;
        let rotate = wire::RotateKey {
            overlap: self.overlap.map(|time| time.as_secs()),
        };
        let client = server.client(place.key()?)?;
        let rotated = client.rotate_own_key(&rotate).await;
        let rotated = rotated.inspect_err(|_| place.abandon())?;
        place.keep(&rotated.pak)?;
        server
            .client(rotated.pak.parse()?)?
            .me()
            .await
            .with_context(|| {
                format!("{place} has still the old key, and the new one beside it, which was not tried yet; repeat the command")
            })?;
        place.promote()?;
        let what = describe(&rotated.key);
        let end = if rotated.old.state == wire::KeyState::Good {
            "The old one has ended.".to_owned()
        } else {
            end_of_old(&rotated)
        };
        say(&format!("Rotated {what} in {place}. {end}"));
        Ok(())
    }

    fn find(&self) -> anyhow::Result<(Place, Server)> {
        let Some(url) = self.server.clone().or_else(|| variable("BROKKR_SERVER")) else {
            let (context, server) = Place::context(self.context.as_deref())?;
            let trust = Trust {
                ca_file: self.trust.ca_file.clone().or(server.ca_file),
            };
            let server = Server {
                url: server.server,
                plain: plain_http(server.plain_http),
                authorities: trust.authorities()?,
            };
            let place = self.key_file.clone().map_or(context, Place::File);
            return Ok((place, server));
        };
        if self.context.is_some() {
            return Err(Usage(
                "both a context and a server say which broker: leave one of them out".to_owned(),
            )
            .into());
        }
        let file = self.key_file.clone();
        let file = file.or_else(|| variable("BROKKR_KEY_FILE").map(PathBuf::from));
        let file = file.ok_or_else(|| {
            Usage("a key in a variable cannot be replaced: put it into a file, and name it with --key-file".to_owned())
        })?;
        let anywhere = self.plain_http || variable("BROKKR_PLAIN_HTTP").is_some();
        let plain = plain_http(anywhere);
        let authorities = self.trust.authorities()?;
        let server = Server {
            url,
            plain,
            authorities,
        };
        Ok((Place::File(file), server))
    }
}
