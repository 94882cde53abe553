//! What a fleet of ten thousand costs whoever looks at it in a browser.

use anyhow::{Context, Result, ensure};
use brokkr_e2e::{Stage, repository};
use serde::Deserialize;
use tokio::process::Command;

use crate::figure::{Figure, Must};

/// What the browser measured, in each of several runs.
#[derive(Deserialize)]
struct Measured {
    /// Milliseconds until all agents are shown.
    views: Vec<f64>,
    /// The longest time from what somebody does to what they see of it, in milliseconds.
    actions: Vec<f64>,
    /// Milliseconds from a publish until the view of its stack shows it.
    news: Vec<f64>,
    /// All that there is to load, compressed.
    kilobytes: Vec<f64>,
}

pub async fn measure(stage: &Stage) -> Result<Vec<Figure>> {
    let file = stage.directory().join("console.json");
    let status = Command::new(repository().join("scripts/console-tests"))
        .arg("measure")
        .env("FIGURES", &file)
        .status()
        .await?;
    ensure!(status.success(), "the browser did not measure: {status}");
    let measured = std::fs::read(&file).context("what the browser measured")?;
    let Measured {
        views,
        actions,
        news,
        kilobytes,
    } = serde_json::from_slice(&measured)?;
    let views: Vec<_> = views.iter().map(|millis| millis / 1e3).collect();
    Ok(vec![
        Figure::of("console_first_view_10k_s", "s", &views, Must::AtMost(2.0)),
        Figure::of("console_action_10k_ms", "ms", &actions, Must::AtMost(100.0)),
        Figure::of(
            "console_publish_seen_ms",
            "ms",
            &news,
            Must::AtMost(1_000.0),
        ),
        Figure::of("console_kb", "KiB", &kilobytes, Must::AtMost(250.0)),
    ])
}
