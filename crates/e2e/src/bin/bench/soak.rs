//! Whether anything grows or slows down while a fleet is served for long.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Broker, Process, Stage};
use tokio::time::{MissedTickBehavior, interval};

use crate::figure::{Figure, Must, p99};
use crate::sightings::Sightings;
use crate::simulated::{self, Simulation};

/// From one publish that is timed to the next.
const PROBE: Duration = Duration::from_secs(1);
/// The simulation outlasts what is watched: its end would look like a change.
const MARGIN: Duration = Duration::from_secs(20);
const MIB: f64 = 1024.0 * 1024.0;
/// What the allocator and the kernel do by themselves.
const NOISE_MIB: f64 = 4.0;

/// What was seen at one moment.
struct Sample {
    /// Hours since the beginning.
    at: f64,
    /// From a publish until its agent had it.
    millis: f64,
    memory_mib: f64,
    open_files: f64,
    database_mib: f64,
}

/// Serves a thousand simulated agents and a publish a second for so long. The first third is for what fills up once, such as caches.
pub async fn measure(stage: &Stage, duration: Duration) -> Result<Vec<Figure>> {
    let broker = stage.broker("broker").await?;
    let cli = stage.operator(&broker).await?;
    let seconds = format!("{}s", (duration + MARGIN).as_secs());
    // Contents so large that the cache for them is full long before the first third is over.
    let how = [
        ["--agents", "1000"],
        ["--reach", "100"],
        ["--publishes", "1"],
        ["--size", "200000"],
        ["--duration", &seconds],
    ];
    let simulation = Simulation::begin(&cli, &how.concat()).await?;
    let samples = watch(&broker, stage.directory(), duration).await?;
    simulation.end(stage.directory()).await?;
    figures(&samples)
}

async fn watch(broker: &Broker, directory: &Path, duration: Duration) -> Result<Vec<Sample>> {
    let key = broker.new_agent("probe").await?;
    broker.new_stack("probe").await?;
    broker.target("probe", "probe").await?;
    let mut sightings = Sightings::new();
    sightings.watch(broker.client(&key)?);
    let (begun, mut samples) = (Instant::now(), Vec::new());
    let mut due = interval(PROBE);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while begun.elapsed() < duration {
        due.tick().await;
        let asked = Instant::now();
        let manifests = config_map("a", &samples.len().to_string());
        let published = broker.publish("probe", &manifests).await?;
        let seen = sightings.next_of(published.deployment_object.sequence);
        samples.push(Sample {
            at: begun.elapsed().as_secs_f64() / 3_600.0,
            millis: seen.await?.duration_since(asked).as_secs_f64() * 1e3,
            memory_mib: simulated::memory(broker.process())? / MIB,
            open_files: open_files(broker.process())?,
            database_mib: database(directory)? / MIB,
        });
    }
    Ok(samples)
}

fn figures(samples: &[Sample]) -> Result<Vec<Figure>> {
    let third = samples.len() / 3;
    ensure!(
        third >= 20,
        "only {} samples: let it run for longer",
        samples.len()
    );
    let (middle, last) = samples[third..].split_at(third);
    let both = &samples[third..];
    let of = |part: &[Sample], what: fn(&Sample) -> f64| part.iter().map(what).collect::<Vec<_>>();
    let hours = last[last.len() - 1].at - middle[0].at;
    let memory = slope(both, |sample| sample.memory_mib);
    // Connections come and go all the time, thirty more or less: what counts is where that leads.
    let files = slope(both, |sample| sample.open_files);
    let late = p99(&mut of(last, |s| s.millis)) / p99(&mut of(middle, |s| s.millis));
    let growth = slope(last, |s| s.database_mib) / slope(middle, |s| s.database_mib);
    let memory_bound = Must::AtMost(1.0 + NOISE_MIB / hours);
    Ok(vec![
        Figure::of("soak_memory_mib_per_hour", "MiB/h", &[memory], memory_bound),
        Figure::of(
            "soak_open_files_per_hour",
            "files/h",
            &[files],
            Must::AtMost(16.0),
        ),
        Figure::of("soak_p99_last_vs_middle", "", &[late], Must::AtMost(1.25)),
        Figure::of(
            "soak_database_last_vs_middle",
            "",
            &[growth],
            Must::AtMost(1.1),
        ),
    ])
}

/// How much something grows in an hour, by least squares.
fn slope(samples: &[Sample], what: fn(&Sample) -> f64) -> f64 {
    let count: f64 = samples.iter().map(|_| 1.0).sum();
    let mean = |of: &dyn Fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>() / count;
    let (at, value) = (mean(&|sample| sample.at), mean(&what));
    let along = samples
        .iter()
        .map(|sample| (sample.at - at) * (what(sample) - value));
    let square = samples.iter().map(|sample| (sample.at - at).powi(2));
    along.sum::<f64>() / square.sum::<f64>()
}

fn open_files(process: &Process) -> Result<f64> {
    let files = std::fs::read_dir(format!("/proc/{}/fd", process.id()?))?;
    Ok(f64::from(u32::try_from(files.count())?))
}

/// What the database's own file has, in bytes; its journal comes and goes.
fn database(directory: &Path) -> Result<f64> {
    let file = std::fs::metadata(directory.join("brokkr.db")).context("the database's file")?;
    Ok(f64::from(u32::try_from(file.len() / 1024)?) * 1024.0)
}
