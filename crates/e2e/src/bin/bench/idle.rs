//! What an agent costs while nobody asks anything of it, and what it asks of the API server.

use std::time::Duration;

use anyhow::{Result, ensure};
use brokkr_e2e::manifests::snapshot;
use brokkr_e2e::{ApiFront, Asked, Cluster, Stage, World, cpu};
use tokio::time::{Instant, sleep};

use crate::figure::{Figure, Must};
use crate::publishes;
use crate::thousand::objects;

/// Together they are longer than the time from one comparison to the next.
const RUNS: usize = 3;
const RUN: Duration = Duration::from_secs(105);
const PUBLISHES: usize = 20;
const MIB: f64 = 1024.0 * 1024.0;

pub async fn measure(stage: &Stage) -> Result<Vec<Figure>> {
    let cluster = Cluster::connect().await?;
    let front = ApiFront::start(&cluster, stage.directory()).await?;
    let mut world = stage.world_through(front.kubeconfig()).await?;
    let stack = world.stack("idle").await?;
    stack.roll_out(&snapshot(objects())).await?;
    let (idle_since, carried) = (Instant::now(), world.link.carried());
    let (mut memory, mut load) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let agent = world.agent.running()?;
        let (begun, before) = (Instant::now(), cpu::seconds(agent.id()?)?);
        sleep(RUN).await;
        let spent = cpu::seconds(agent.id()?)? - before;
        load.push(1_000.0 * spent / begun.elapsed().as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "far less than 2^52 bytes")]
        memory.push(agent.memory()? as f64 / MIB);
    }
    let mut figures = vec![
        Figure::of("agent_idle_mib", "MiB", &memory, Must::AtMost(25.0)),
        Figure::of("agent_idle_mcpu", "mCPU", &load, Must::AtMost(5.0)),
    ];
    let carried = f64::from(u32::try_from(world.link.carried() - carried)?);
    let days = idle_since.elapsed().as_secs_f64() / 86_400.0;
    figures.push(Figure::of(
        "agent_idle_kib_per_day",
        "KiB",
        &[carried / 1024.0 / days],
        Must::Nothing,
    ));
    figures.extend(asked(&front.asked_since(idle_since), idle_since.elapsed())?);
    figures.push(traffic(&world).await?);
    Ok(figures)
}

/// What a publish of 3 KB takes between broker and agent: the state, the content, and what the agent reports.
async fn traffic(world: &World) -> Result<Figure> {
    let stack = world.stack("traffic").await?;
    stack.roll_out(&publishes::content()).await?;
    let mut publishes = Vec::new();
    for _ in 0..PUBLISHES {
        let before = world.link.carried();
        stack.roll_out(&publishes::content()).await?;
        let bytes = u32::try_from(world.link.carried() - before)?;
        publishes.push(f64::from(bytes) / 1024.0);
    }
    Ok(Figure::of(
        "publish_traffic_kib",
        "KiB",
        &publishes,
        Must::Nothing,
    ))
}

/// All of it counts but its watches and its own lease, whose renewals show that the front saw what there was.
#[expect(clippy::cast_precision_loss, reason = "a few requests")]
fn asked(asked: &[Asked], within: Duration) -> Result<[Figure; 2]> {
    let (leases, others): (Vec<_>, Vec<_>) = asked.iter().partition(|a| a.is_of_a_lease());
    ensure!(
        leases.iter().filter(|a| a.is_write()).count() > 10,
        "where are the renewals of the lease? {leases:?}"
    );
    for asked in others.iter().filter(|a| !a.is_watch()) {
        eprintln!("idle: {asked}");
    }
    let writes = others.iter().filter(|a| !a.is_read() && !a.is_watch());
    let reads = others.iter().filter(|a| a.is_read()).count() as f64;
    let a_minute = reads / (within.as_secs_f64() / 60.0);
    Ok([
        Figure::of(
            "agent_idle_writes",
            "writes",
            &[writes.count() as f64],
            Must::AtMost(0.0),
        ),
        Figure::of(
            "agent_idle_reads_per_minute",
            "reads",
            &[a_minute],
            Must::AtMost(1.0),
        ),
    ])
}
