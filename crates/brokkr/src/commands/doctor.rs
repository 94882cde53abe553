use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use brokkr_client::Probe;
use brokkr_core::ambient::{Ambient as _, System};
use brokkr_core::pak::{Pak, Role};
use clap::Args;

use crate::connection::{Connection, Told, variable};
use crate::output::{self, Output};

mod checks;
mod finding;
mod key_checks;
mod report;

use report::Report;

/// Find out why a broker is not reached, and what is about to go wrong
///
/// It looks at one thing after the other, as a command or an agent with the same flags and variables would: the
/// address, the connection, the broker, the clock, the key, its end, and its rights. It says what it found, and what
/// to do. It changes nothing; with an agent's key it polls once, so the agent counts as seen.
/// The exit code is 1 if something failed; a warning is no failure.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr doctor
  brokkr doctor --broker https://broker.example --key-file eu-1.key")]
pub struct Doctor {
    /// The broker's address, as `brokkr agent` takes it; else BROKKR_SERVER, --context, BROKKR_BROKER, or the current
    /// context says it
    #[arg(long, value_name = "URL", conflicts_with = "context")]
    broker: Option<String>,

    /// The file that holds the key. Without it, an address in a flag or a variable goes with BROKKR_KEY_FILE or
    /// BROKKR_KEY, and a context with its own key
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,

    /// Send the key unencrypted to --broker, even to another machine
    #[arg(long, requires = "broker")]
    plain_http: bool,

    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

/// How soon the agent itself will poll, as far as we know: it must not count as silent because we looked.
const AGENT_INTERVAL: Duration = Duration::from_secs(10);

impl Doctor {
    pub async fn run(self) -> anyhow::Result<()> {
        let mut report = Report::default();
        let looked = self.look(&mut report).await;
        if looked.is_none() {
            report.skip_rest();
        }
        if self.output.is_structured() {
            self.output.whole(&report.findings())?;
        } else {
            output::write(&report.to_string())?;
        }
        report.verdict()
    }

    /// One check after the other. `None` is where a failure makes those to come pointless.
    async fn look(&self, report: &mut Report) -> Option<()> {
        let (told, probe) = match self.begin() {
            Ok(both) => both,
            Err(error) => return report.add(checks::no_address(&error)),
        };
        report.is_agent = told.key.as_ref().ok().and_then(Pak::labelled) == Some(Role::Agent);
        report.add(checks::address(&told.server, &told.server_from))?;

        let alive = probe.get("healthz").await;
        let heard = System.now();
        report.add(checks::connection(&checks::Line::of(&probe), &alive))?;
        let alive = alive.ok()?;
        report.add(checks::broker(&alive, &probe.get("readyz").await))?;
        report.add(checks::clock(alive.date, heard))?;
        look_with_key(told, report).await
    }

    fn begin(&self) -> anyhow::Result<(Told, Probe)> {
        let told = self.told()?;
        let probe = told.probe();
        let probe = probe.with_context(|| format!("{} from {}", told.server, told.server_from))?;
        Ok((told, probe))
    }

    fn told(&self) -> anyhow::Result<Told> {
        let by_hand = |server, from| {
            let file = self.key_file.clone();
            self.connection
                .told_by_hand(server, from, file, self.plain_http)
        };
        let of_agent = variable("BROKKR_BROKER").filter(|_| !self.connection.names_broker());
        match (&self.broker, of_agent, &self.key_file) {
            (Some(server), ..) => Ok(by_hand(server.clone(), "--broker")),
            (None, Some(server), _) => Ok(by_hand(server, "BROKKR_BROKER")),
            (None, None, Some(file)) => Ok(self.connection.told()?.with_key_in(file)),
            (None, None, None) => self.connection.told(),
        }
    }
}

async fn look_with_key(told: Told, report: &mut Report) -> Option<()> {
    let (from, id) = (told.key_from.clone(), told.key.as_ref().ok().map(Pak::id));
    let client = match told.client() {
        Ok(client) => client,
        Err(error) => return report.add(key_checks::no_key(&error)),
    };
    let me = client.me().await;
    report.add(key_checks::key(&from, id, &me))?;
    let me = me.ok()?;
    let key = client.key(me.key).await;
    // It says nothing of what comes next.
    let _ = report.add(key_checks::expiry(&key, System.now()));
    report.add(key_checks::rights(me.role))?;
    if me.role == Role::Agent {
        let state = client
            .target_state(None, Duration::ZERO, AGENT_INTERVAL)
            .await;
        report.add(key_checks::target_state(&state))?;
    }
    Some(())
}

#[cfg(test)]
mod tests;
