use std::net::IpAddr;

use anyhow::Context as _;
use brokkr_broker::LimitSettings;
use clap::Args;
use ipnet::IpNet;

use crate::open_files;

/// What the broker bears.
#[derive(Args)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// How many connections may be open at once [default: as many files as the process may open, less 256]
    #[arg(long, env = "BROKKR_MAX_CONNECTIONS", value_name = "NUMBER")]
    max_connections: Option<usize>,

    /// How many requests a second one key may send in the long run; polls are not counted
    #[arg(
        long,
        env = "BROKKR_KEY_RATE",
        value_name = "NUMBER",
        default_value_t = LimitSettings::KEY_RATE,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    key_rate: u32,

    /// Believe the X-Forwarded-For of proxies with these addresses, and of no others; may be repeated
    #[arg(
        long = "trusted-proxy",
        env = "BROKKR_TRUSTED_PROXY",
        value_name = "CIDR",
        value_delimiter = ',',
        value_parser = network
    )]
    trusted_proxies: Vec<IpNet>,
}

/// Files that a broker opens besides connections: the database, certificates, the key of the first admin.
const OTHER_FILES: usize = 256;

impl Limits {
    pub fn settings(self) -> LimitSettings {
        let most = open_files::raise()
            .saturating_sub(OTHER_FILES)
            .max(OTHER_FILES);
        let connections = self.max_connections.unwrap_or(most);
        if connections > most {
            tracing::warn!(
                most,
                "the process may not open files for so many connections: raise its limit (ulimit -n)"
            );
        }
        LimitSettings {
            connections: connections.min(most),
            key_rate: self.key_rate,
            trusted_proxies: self.trusted_proxies,
        }
    }
}

/// A network, or one address.
fn network(text: &str) -> anyhow::Result<IpNet> {
    let address = text.parse::<IpAddr>().map(IpNet::from);
    address
        .or_else(|_| text.parse())
        .with_context(|| format!("`{text}` is no network: write 10.0.0.0/8, or one address"))
}
