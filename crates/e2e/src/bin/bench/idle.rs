//! What an agent costs while nobody asks anything of it.

use std::time::Duration;

use anyhow::Result;
use brokkr_e2e::Stage;
use brokkr_e2e::manifests::{config_map, snapshot};
use tokio::time::{Instant, sleep};

use crate::cpu;
use crate::figure::{Figure, Must};

const OBJECTS: usize = 1_000;
/// Together they are longer than the time from one comparison to the next.
const RUNS: usize = 3;
const RUN: Duration = Duration::from_secs(105);
const MIB: f64 = 1024.0 * 1024.0;

pub async fn measure(stage: &Stage) -> Result<Vec<Figure>> {
    let mut world = stage.world().await?;
    let stack = world.stack("idle").await?;
    let objects = (0..OBJECTS).map(|number| config_map(&format!("object-{number}"), "1"));
    stack.roll_out(&snapshot(objects)).await?;
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
    Ok(vec![
        Figure::of("agent_idle_mib", "MiB", &memory, Must::AtMost(25.0)),
        Figure::of("agent_idle_mcpu", "mCPU", &load, Must::AtMost(5.0)),
    ])
}
