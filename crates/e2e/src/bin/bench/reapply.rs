//! A thousand objects that are as they should be, applied again: another deployment object says the same of them.

use anyhow::{Result, ensure};
use brokkr_e2e::manifests::snapshot;
use brokkr_e2e::{ApiFront, Asked, Cluster, Stage, cpu};
use tokio::time::Instant;

use crate::figure::{Figure, Must};
use crate::thousand::objects;

const RUNS: usize = 3;
/// The clock of CPU time has ticks of 10 ms: each run is of several times.
const TIMES: u32 = 10;

pub async fn measure(stage: &Stage) -> Result<Vec<Figure>> {
    let cluster = Cluster::connect().await?;
    let front = ApiFront::start(&cluster, stage.directory()).await?;
    let mut world = stage.world_through(front.kubeconfig()).await?;
    let records = world.agent.namespace().to_owned();
    let stack = world.stack("again").await?;
    let objects = snapshot(objects());
    stack.roll_out(&objects).await?;
    let is_of_objects = |asked: &Asked| asked.is_in(&stack.namespace);
    let (mut writes, mut costs) = (Vec::new(), Vec::new());
    for run in 1..=RUNS {
        let (begun, before) = (Instant::now(), cpu::seconds(world.agent.running()?.id()?)?);
        for time in 0..TIMES {
            stack
                .roll_out(&format!("# {run}.{time}\n{objects}"))
                .await?;
        }
        let spent = cpu::seconds(world.agent.running()?.id()?)? - before;
        costs.push(1_000.0 * spent / f64::from(TIMES));
        let asked = front.asked_since(begun);
        let count = |is_it: fn(&Asked) -> bool| {
            asked
                .iter()
                .filter(|a| is_of_objects(a) && is_it(a))
                .count()
        };
        let [reads, dry_runs, written] =
            [Asked::is_read, Asked::is_dry_run, Asked::is_write].map(count);
        eprintln!(
            "the same objects {TIMES} times, run {run}: {reads} reads, {dry_runs} dry runs, {written} writes"
        );
        ensure!(
            reads >= TIMES as usize && asked.iter().any(|a| a.is_write() && a.is_in(&records)),
            "nobody looked at them"
        );
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
        writes.push((dry_runs + written) as f64);
    }
    Ok(vec![
        Figure::of("reapply_writes", "writes", &writes, Must::AtMost(0.0)),
        Figure::of("reapply_cpu_ms", "ms", &costs, Must::AtMost(100.0)),
    ])
}
