use std::net::IpAddr;

use anyhow::Context as _;
use brokkr_broker::{LimitSettings, Memory};
use clap::Args;
use ipnet::IpNet;

use crate::{memory, open_files};

/// What the broker bears.
#[derive(Args)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// How many connections may be open at once [default: as many as there are files for, less 256, and memory]
    #[arg(long, env = "BROKKR_MAX_CONNECTIONS", value_name = "NUMBER")]
    max_connections: Option<usize>,

    /// How much memory the broker may use, as 512Mi; what does not fit is refused until there is room [default: the limit of its
    /// container, if it has one]
    #[arg(long, env = "BROKKR_MEMORY", value_name = "QUANTITY", value_parser = memory)]
    memory: Option<Memory>,

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
    pub fn settings(self, with_tls: bool) -> LimitSettings {
        let memory = self.memory.unwrap_or_else(of_container);
        let most = open_files::raise()
            .saturating_sub(OTHER_FILES)
            .max(OTHER_FILES);
        let fit = memory.connections(with_tls);
        let connections = self.max_connections.unwrap_or_else(|| most.min(fit));
        if connections > most {
            tracing::warn!(
                most,
                "the process may not open files for so many connections: raise its limit (ulimit -n)"
            );
        }
        if connections > fit {
            tracing::warn!(
                fit,
                "so many connections may need more memory than a quarter of what there is: raise --memory if they are agents"
            );
        }
        if let Some(bytes) = memory.limit() {
            tracing::info!(
                bytes,
                connections,
                "the broker keeps within a limit of memory"
            );
        }
        LimitSettings {
            connections: connections.min(most),
            memory,
            key_rate: self.key_rate,
            trusted_proxies: self.trusted_proxies,
        }
    }
}

/// The memory that a container leaves.
fn of_container() -> Memory {
    let limit = memory::limit();
    if let Some(bytes) = limit
        && bytes < Memory::LEAST
    {
        tracing::warn!(
            bytes,
            least = Memory::LEAST,
            "the container has less memory than a broker needs, and may be ended for it: raise its limit"
        );
    }
    limit.map_or_else(Memory::default, Memory::limited)
}

/// A limit with which a broker does its work.
fn memory(text: &str) -> anyhow::Result<Memory> {
    let bytes = memory::quantity(text)?;
    anyhow::ensure!(
        bytes >= Memory::LEAST,
        "a broker needs more: at least {}Mi",
        Memory::LEAST >> 20
    );
    Ok(Memory::limited(bytes))
}

/// A network, or one address.
fn network(text: &str) -> anyhow::Result<IpNet> {
    let address = text.parse::<IpAddr>().map(IpNet::from);
    address
        .or_else(|_| text.parse())
        .with_context(|| format!("`{text}` is no network: write 10.0.0.0/8, or one address"))
}
