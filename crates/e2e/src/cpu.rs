//! What a process costs.

use anyhow::{Context, Result};

/// User and system time of a process so far (proc(5): fields 14 and 15, counted behind the name).
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 ticks")]
pub fn seconds(process: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, behind_the_name) = stat.rsplit_once(')').context("/proc/PID/stat has a name")?;
    let fields = behind_the_name.split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.map(str::parse::<u64>).sum::<Result<_, _>>()?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}
