//! What a running broker or agent tells its operator, on stderr.

use std::io::{self, IsTerminal as _};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// What the cluster's client library calls an error comes back to us, and is told with its reason.
const DEFAULT: &str = "info,kube_client=off";

/// What to log, and how.
#[derive(Args)]
#[command(next_help_heading = "Log")]
pub struct Logging {
    /// What to log: error, warn, info, debug, trace, also by module (info,brokkr_agent=debug)
    #[arg(long, env = "BROKKR_LOG", value_name = "FILTER", default_value = DEFAULT)]
    log: String,

    /// How a line of the log looks
    #[arg(
        long,
        env = "BROKKR_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    log_format: LogFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line, for programs
    Json,
}

impl Logging {
    /// Begins to log.
    pub fn start(&self) -> anyhow::Result<()> {
        let filter = EnvFilter::builder()
            .parse(&self.log)
            .with_context(|| format!("`{}` is no log filter", self.log))?;
        let builder = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(io::stderr)
            // A log that nobody reads any more must not end the process.
            .log_internal_errors(false);
        match self.log_format {
            LogFormat::Text => builder.with_ansi(wants_colour()).init(),
            LogFormat::Json => builder.json().flatten_event(true).init(),
        }
        Ok(())
    }
}

fn wants_colour() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
