//! What TLS costs a broker, beside the same without it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use brokkr_e2e::{Authority, Cli, Engine, Process, Stage};
use serde_json::Value;
use tokio::time::sleep;

use crate::figure::{Figure, Must};
use crate::simulated::{self, Simulation};

const RUNS: usize = 3;
const FEW: u32 = 500;
const MANY: u32 = 2_500;
/// The allocator gives back what the start took.
const REST: Duration = Duration::from_secs(12);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Plain,
    Encrypted,
}

pub async fn measure() -> Result<Vec<Figure>> {
    let (mut plain_memory, mut memory) = (Vec::new(), Vec::new());
    let (mut start, mut deliveries) = (Vec::new(), Vec::new());
    for run in 1..=RUNS {
        let (plain, plain_each) = slope(Line::Plain).await?;
        let (encrypted, encrypted_each) = slope(Line::Encrypted).await?;
        plain_memory.push(plain_each);
        memory.push(encrypted_each);
        start.push(encrypted.start / plain.start);
        deliveries.push(encrypted.delivered / plain.delivered);
        eprintln!(
            "tls, run {run}: {memory:.1?} KiB an agent, {plain_memory:.1?} without; start {start:.2?}, deliveries {deliveries:.2?} times as long"
        );
    }
    Ok(vec![
        Figure::of("tls_kb_per_agent", "KiB", &memory, Must::Nothing),
        Figure::of("plain_kb_per_agent", "KiB", &plain_memory, Must::Nothing),
        Figure::of("tls_start_vs_plain", "", &start, Must::Nothing),
        Figure::of("tls_deliveries_vs_plain", "", &deliveries, Must::Nothing),
    ])
}

/// What was seen of a broker with so many agents.
struct Seen {
    /// Bytes, after a publish to all.
    memory: f64,
    /// Seconds from the agents' start until each has a session and its state.
    start: f64,
    /// Milliseconds from a publish until all have it: the median.
    delivered: f64,
}

/// A large fleet, and what each agent of it takes in KiB.
async fn slope(line: Line) -> Result<(Seen, f64)> {
    let few = seen(line, FEW).await?;
    let many = seen(line, MANY).await?;
    let each = (many.memory - few.memory) / 1024.0 / f64::from(MANY - FEW);
    Ok((many, each))
}

async fn seen(line: Line, agents: u32) -> Result<Seen> {
    let stage = Stage::set(Engine::Sqlite).await?;
    let (broker, cli) = broker(line, &stage).await?;
    let agents = agents.to_string();
    let how = [
        ["--agents", &agents],
        ["--publishes", "0.2"],
        ["--duration", "25s"],
    ];
    let simulation = Simulation::begin(&cli, &how.concat()).await?;
    sleep(REST).await;
    let memory = simulated::memory(&broker)?;
    let report = simulation.end(stage.directory()).await?;
    Ok(Seen {
        memory,
        start: number(&report, "/in_state_seconds")?,
        delivered: number(&report, "/deliveries_to_all/p50_ms")?,
    })
}

async fn broker(line: Line, stage: &Stage) -> Result<(Process, Cli)> {
    let directory = stage.directory();
    let file = |name: &str| directory.join(name).display().to_string();
    let (key, certificate, certificate_key) = (file("admin.key"), file("tls.crt"), file("tls.key"));
    let usual = [
        ["--listen", "127.0.0.1:0"],
        ["--database", stage.database().url()],
        ["--admin-key-file", &key],
    ];
    let tls = [
        ["--tls-cert", certificate.as_str()],
        ["--tls-key", certificate_key.as_str()],
    ];
    let authority = Authority::new()?;
    authority.issue("localhost")?.write(directory)?;
    let ca = authority.write(directory)?.display().to_string();
    let (arguments, scheme, trusting): (_, _, &[&str]) = match line {
        Line::Plain => (usual.concat(), "http", &[]),
        Line::Encrypted => (
            [usual.concat(), tls.concat()].concat(),
            "https",
            &["--ca-file", &ca],
        ),
    };
    let arguments = [&["broker"], &arguments[..]].concat();
    let mut process = Process::brokkr("broker", &arguments, directory)?;
    let address = process
        .says(&format!("listening on {scheme}://127.0.0.1:"))
        .await?;
    let server = format!("{scheme}://localhost:{}", address.trim());
    let cli = Cli::new(directory);
    let login = ["login", "--server", &server, "--key-file", &key];
    cli.does(&[&login, trusting].concat()).await?;
    Ok((process, cli))
}

fn number(report: &Value, pointer: &str) -> Result<f64> {
    let number = report.pointer(pointer).and_then(Value::as_f64);
    number.with_context(|| format!("no {pointer} in {report}"))
}
