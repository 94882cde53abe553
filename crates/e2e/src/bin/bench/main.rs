//! Measures what the design promises, prints a table, and writes `target/bench/results.json`.
//! It fails if a figure misses its bound. `docs/benchmarks.md` says what each figure means.

mod api_server;
mod applied;
mod bare;
mod console;
mod deliveries;
mod drift;
mod figure;
mod idle;
mod ingest;
mod kubectl;
mod load;
mod polls;
mod publishes;
mod reapply;
mod refusals;
mod replicas;
mod seed;
mod sightings;
mod simulated;
mod size;
mod sizing;
mod soak;
mod thousand;
mod tls;
mod waiting;
mod welch;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use brokkr_e2e::{Engine, Stage, repository};
use clap::{Parser, Subcommand};

/// Measures Brokkr on this machine.
#[derive(Parser)]
struct Bench {
    #[command(subcommand)]
    role: Option<Role>,
    /// Measure only these groups.
    #[arg(value_enum)]
    groups: Vec<Group>,
    /// For how long to soak.
    #[arg(long, default_value = "30", value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(1..))]
    minutes: u32,
}

impl Bench {
    fn wants(&self, group: Group) -> bool {
        match self.groups.as_slice() {
            [] => group != Group::Soak,
            named => named.contains(&group),
        }
    }
}

/// What else this program is, in processes of its own.
#[derive(Subcommand)]
enum Role {
    #[command(hide = true)]
    Bare,
    #[command(hide = true)]
    Load(load::Load),
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Group {
    Polls,
    Deliveries,
    Ingest,
    Publishes,
    Size,
    Waiting,
    Replicas,
    Tls,
    Console,
    Applied,
    Drift,
    Idle,
    Kubectl,
    ApiServer,
    Reapply,
    Refusals,
    /// Only when it is named: it takes half an hour.
    Soak,
}

fn main() -> ExitCode {
    let bench = Bench::parse();
    let outcome = match bench.role {
        Some(Role::Bare) => on_all_cores(bare::serve()),
        Some(Role::Load(load)) => on_one_core(load.run()),
        None => on_all_cores(measure(&bench)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(bench: &Bench) -> Result<()> {
    let mut figures = Vec::new();
    for group in [
        Group::Polls,
        Group::Refusals,
        Group::Deliveries,
        // Before there is much that PostgreSQL's server writes afterwards, beside whatever comes next.
        Group::Size,
        Group::Waiting,
        Group::Ingest,
        Group::Publishes,
        Group::Replicas,
        Group::Tls,
        Group::Console,
        // Before there are objects of other agents in the cluster, which a real one does not have.
        Group::Idle,
        Group::Applied,
        Group::Drift,
        Group::Kubectl,
        Group::ApiServer,
        Group::Reapply,
        Group::Soak,
    ] {
        if !bench.wants(group) {
            continue;
        }
        let stage = Stage::set(Engine::Sqlite).await?;
        figures.extend(match group {
            Group::Polls => polls::measure(&stage).await?,
            Group::Refusals => refusals::measure(&stage).await?,
            Group::Deliveries => deliveries::measure(&stage).await?,
            Group::Ingest => ingest::measure().await?,
            Group::Publishes => publishes::measure().await?,
            Group::Size => size::measure().await?,
            Group::Waiting => waiting::measure().await?,
            Group::Replicas => replicas::measure().await?,
            Group::Tls => tls::measure().await?,
            Group::Console => console::measure(&stage).await?,
            Group::Applied => applied::measure(&stage).await?,
            Group::Drift => drift::measure(&stage).await?,
            Group::Idle => idle::measure(&stage).await?,
            Group::Kubectl => kubectl::measure(&stage).await?,
            Group::ApiServer => api_server::measure(&stage).await?,
            Group::Reapply => reapply::measure(&stage).await?,
            Group::Soak => soak::measure(&stage, Duration::from_mins(bench.minutes.into())).await?,
        });
    }
    figure::write(&figures)?;
    sizing::write(&figures, &repository().join("docs/how-to/scale.md"))?;
    println!("{}", figure::table(&figures));
    let missed: Vec<_> = figures
        .iter()
        .filter(|figure| !figure.ok)
        .map(|figure| figure.name)
        .collect();
    ensure!(missed.is_empty(), "missed: {}", missed.join(", "));
    Ok(())
}

fn on_all_cores(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

fn on_one_core(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}
