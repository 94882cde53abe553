//! Measuring a broker with agents that are not there: they ask and say what real ones do, over real connections, and
//! have no cluster.

mod agent;
mod dice;
mod fleet;
mod ledger;
mod publisher;
mod report;
mod run;
mod tally;

use std::num::NonZero;
use std::time::Duration;

use brokkr_client::Client;
use brokkr_core::wire::MAX_WAIT_SECONDS;
use clap::Args;

use crate::connection::Connection;
use crate::duration;
use crate::failure::Usage;
use crate::output::Output;
use crate::signals::Signals;
use crate::terminal::say;
use agent::Habits;
use fleet::{Fleet, Shape};
use run::Run;

/// Measure a broker with agents that have no cluster
///
/// Registers agents and stacks of its own at any broker, and deletes them when it is done. The agents poll, fetch and report as real
/// ones do, each over a connection of its own, past any proxy; what they apply takes a while, and fails now and then. Each looks at every digest and
/// at the order of what it gets: one wrong answer fails the command. Publishes come at their times, whether or not the broker
/// keeps up, and what is late counts from when it should have been. Run it beside the broker and both share the machine.
///
/// No other stack should reach the simulated agents: what they get of others is neither fetched nor reported.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr simulate --agents 1000
  brokkr simulate --agents 10000 --reach 1 --publishes 5 -o json
  brokkr simulate --agents 2000 --stacks 20 --poll-every 30s --duration 5m
  brokkr simulate --clean")]
pub struct Simulate {
    /// How many agents
    #[arg(long, value_name = "N", default_value = "1000", value_parser = one_or_more)]
    agents: usize,

    /// How many stacks; each is published in its turn
    #[arg(long, value_name = "N", default_value = "1", value_parser = one_or_more)]
    stacks: usize,

    /// How many agents run each stack, no agent more than one [default: all of them, shared out]
    #[arg(long, value_name = "N", value_parser = one_or_more)]
    reach: Option<usize>,

    /// How many publishes a second, all stacks together
    #[arg(long, value_name = "RATE", default_value = "1", value_parser = rate)]
    publishes: f64,

    /// How many bytes a publish has
    #[arg(long, value_name = "BYTES", default_value = "3000", value_parser = clap::value_parser!(u32).range(200..=4_000_000))]
    size: u32,

    /// For how long to measure
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration::positive)]
    duration: Duration,

    /// For how long to publish before that
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration::parse)]
    warm_up: Duration,

    /// How long an agent takes to apply, give or take a half
    #[arg(long, value_name = "DURATION", default_value = "50ms", value_parser = duration::parse)]
    apply_time: Duration,

    /// How many of 100 attempts to apply fail; each is repeated until it works
    #[arg(long, value_name = "PERCENT", default_value = "1", value_parser = clap::value_parser!(u8).range(0..=99))]
    failures: u8,

    /// Ask at this interval instead of waiting at the broker for what is new
    #[arg(long, value_name = "DURATION", value_parser = duration::positive)]
    poll_every: Option<Duration>,

    /// Leave the agents and stacks where they are
    #[arg(long)]
    keep: bool,

    /// Only delete what earlier simulations left at the broker
    #[arg(long, conflicts_with_all = [
        "agents", "stacks", "reach", "publishes", "size", "duration", "warm_up", "apply_time", "failures", "poll_every", "keep",
    ])]
    clean: bool,

    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Simulate {
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        if self.clean {
            let left = Fleet::left_over(&client).await?;
            say(&format!("{left} of earlier simulations."));
            return left.dissolve(&client).await;
        }
        let run = Run {
            shape: self.shape()?,
            habits: self.habits(),
            publishes: self.publishes,
            size: self.size as usize,
            warm_up: self.warm_up,
            duration: self.duration,
        };
        let mut signals = Signals::listen()?;
        let mut fleet = Fleet::default();
        let outcome = tokio::select! {
            outcome = run.measure(&client, &mut fleet) => outcome,
            () = signals.next() => Err(anyhow::anyhow!("the simulation was ended before it was done")),
        };
        let verdict = outcome.and_then(|report| {
            self.output.rows(&report.rows(), &report)?;
            report.verdict()
        });
        let cleaned = tokio::select! {
            cleaned = self.clean_up(fleet, &client) => cleaned,
            () = signals.next() => Err(anyhow::anyhow!(
                "the cleanup was ended before it was done: `brokkr simulate --clean` does the rest"
            )),
        };
        match (verdict, cleaned) {
            (Err(verdict), Err(unclean)) => {
                say(&format!("Not all could be deleted: {unclean:#}"));
                Err(verdict)
            }
            (verdict, cleaned) => verdict.and(cleaned),
        }
    }

    async fn clean_up(&self, fleet: Fleet, client: &Client) -> anyhow::Result<()> {
        if self.keep {
            say(&format!(
                "{fleet} stay at the broker: `brokkr simulate --clean` deletes them."
            ));
            return Ok(());
        }
        say("Cleaning up …");
        fleet.dissolve(client).await
    }

    fn shape(&self) -> Result<Shape, Usage> {
        let reach = self.reach.unwrap_or(self.agents / self.stacks);
        match NonZero::new(reach) {
            Some(reach) if reach.get().saturating_mul(self.stacks) <= self.agents => Ok(Shape {
                agents: self.agents,
                stacks: self.stacks,
                reach: reach.get(),
            }),
            _ => Err(Usage(format!(
                "{} stacks on {} agents each are more than the {} agents there are",
                self.stacks,
                reach.max(1),
                self.agents
            ))),
        }
    }

    fn habits(&self) -> Habits {
        let longest = Duration::from_secs(MAX_WAIT_SECONDS);
        Habits {
            wait: self.poll_every.map_or(longest, |_| Duration::ZERO),
            interval: self.poll_every.unwrap_or(longest),
            apply_time: self.apply_time,
            failures: f64::from(self.failures) / 100.0,
        }
    }
}

fn one_or_more(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("write a number of at least 1".to_owned()),
        Ok(number) => Ok(number),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.001..=10_000.0).contains(&rate) => Ok(rate),
        _ => Err("write a number from 0.001 to 10000".to_owned()),
    }
}
