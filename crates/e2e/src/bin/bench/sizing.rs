//! The table of docs/how-to/scale.md that says what larger fleets take.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::figure::Figure;

const BEGIN: &str = "<!-- make bench writes this table: begin -->\n";
const END: &str = "<!-- make bench writes this table: end -->\n";
/// How many agents the columns are for.
const FLEETS: [f64; 3] = [10_000.0, 100_000.0, 1_000_000.0];
const KIB_IN_GIB: f64 = 1024.0 * 1024.0;

/// Writes the table anew, if all of its figures were measured in this run.
pub fn write(figures: &[Figure], page: &Path) -> Result<()> {
    let Some(table) = table(figures) else {
        return Ok(());
    };
    let text = std::fs::read_to_string(page)?;
    let marks = || {
        let (before, rest) = text.split_once(BEGIN)?;
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    };
    let (before, after) = marks().with_context(|| format!("no marks in {}", page.display()))?;
    Ok(std::fs::write(
        page,
        format!("{before}{BEGIN}{table}{END}{after}"),
    )?)
}

fn table(figures: &[Figure]) -> Option<String> {
    let value = |name: &str| Some(figures.iter().find(|figure| figure.name == name)?.value);
    let gib = |kib: f64| format!("{:.1} GiB", kib / KIB_IN_GIB);
    let seconds = |seconds: f64| format!("{seconds:.1} s");
    let mut text = String::from(
        "| figure | measured | 10,000 agents | 100,000 agents | 1,000,000 agents |\n|---|---|---|---|---|\n",
    );
    let mut row = |what: &str, measured: String, each: f64, shown: &dyn Fn(f64) -> String| {
        let fleets = FLEETS.map(|agents| shown(each * agents)).join(" | ");
        let _ = writeln!(text, "| {what} | {measured} | {fleets} |");
    };
    for (what, name) in [
        ("memory, all agents waiting", "broker_kb_per_agent"),
        ("memory after a publish to all", "broker_kb_per_agent_used"),
    ] {
        let each = value(name)?;
        row(what, format!("{each:.1} KiB an agent"), each, &gib);
    }
    let start = value("cold_start_s")?;
    row(
        "start until ready, five targets an agent",
        format!("{start:.1} s for 100,000"),
        start / 100_000.0,
        &seconds,
    );
    let all = value("publish_to_10k_s")?;
    row(
        "a publish to all, until all have it",
        format!("{all:.2} s for 10,000"),
        all / 10_000.0,
        &seconds,
    );
    let idle = value("agent_idle_kib_per_day")?;
    row(
        "traffic a day, nothing new",
        format!("{idle:.0} KiB an agent"),
        idle,
        &gib,
    );
    let publish = value("publish_traffic_kib")?;
    row(
        "traffic of a publish of 3 KB to all",
        format!("{publish:.1} KiB an agent"),
        publish,
        &gib,
    );
    Some(text)
}
