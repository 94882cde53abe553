use std::net::SocketAddr;
use std::path::PathBuf;

use brokkr_broker::{ListenerSettings, TlsFiles};
use clap::Args;

use crate::failure::Usage;

/// Where the broker is met, and how.
#[derive(Args)]
#[command(next_help_heading = "Connections")]
pub struct Listen {
    /// Where to listen; port 0 takes a free one
    #[arg(
        long = "listen",
        env = "BROKKR_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8080"
    )]
    pub address: SocketAddr,

    /// Speak TLS with this certificate (PEM, followed by those that vouch for it). A renewed one is
    /// taken within seconds, without a restart
    #[arg(
        long,
        env = "BROKKR_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    tls_cert: Option<PathBuf>,

    /// The certificate's key (PEM)
    #[arg(
        long,
        env = "BROKKR_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    tls_key: Option<PathBuf>,

    /// Let other machines connect without TLS, because a proxy in front of the broker speaks it
    #[arg(long, env = "BROKKR_PLAIN_HTTP", conflicts_with = "tls_cert")]
    plain_http: bool,
}

impl Listen {
    /// The scheme of the broker's address.
    pub fn scheme(&self) -> &'static str {
        if self.tls_cert.is_some() {
            "https"
        } else {
            "http"
        }
    }

    /// What the broker is told. Keys do not travel unencrypted by oversight.
    pub fn settings(&self) -> anyhow::Result<ListenerSettings> {
        let tls = self.tls_cert.clone().zip(self.tls_key.clone());
        if tls.is_none() && !self.plain_http && !self.address.ip().is_loopback() {
            return Err(Usage(format!(
                "other machines can connect to {}, and their keys would travel unencrypted: \
                 add --tls-cert FILE and --tls-key FILE, or say --plain-http if a proxy in front speaks TLS",
                self.address
            ))
            .into());
        }
        Ok(ListenerSettings {
            tls: tls.map(|(certificate, key)| TlsFiles { certificate, key }),
        })
    }
}
