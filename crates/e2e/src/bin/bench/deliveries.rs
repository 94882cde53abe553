//! How soon agents have what is published while ten thousand wait, by `brokkr simulate`, which checks each answer.

use anyhow::{Context as _, Result};
use brokkr_e2e::{Cli, Stage};
use serde_json::Value;

use crate::figure::{Figure, Must};

const RUNS: usize = 3;
const AGENTS: &str = "10000";

/// So many agents have each stack, and so often it is published; what they report comes after what is measured.
const TO_ONE: [&str; 8] = [
    "--reach",
    "1",
    "--publishes",
    "20",
    "--duration",
    "10s",
    "--apply-time",
    "1s",
];
const TO_1K: [&str; 8] = [
    "--reach",
    "1000",
    "--publishes",
    "1",
    "--duration",
    "40s",
    "--apply-time",
    "400ms",
];
const TO_10K: [&str; 8] = [
    "--reach",
    "10000",
    "--publishes",
    "0.2",
    "--duration",
    "25s",
    "--apply-time",
    "4s",
];

pub async fn measure(stage: &Stage) -> Result<Vec<Figure>> {
    let broker = stage.broker("broker").await?;
    let cli = stage.operator(&broker).await?;
    let (mut one_p50, mut one_p99) = (Vec::new(), Vec::new());
    let (mut thousand, mut all) = (Vec::new(), Vec::new());
    for run in 1..=RUNS {
        let to_one = simulated(&cli, TO_ONE).await?;
        one_p50.push(millis(&to_one, "/deliveries/p50_ms")?);
        one_p99.push(millis(&to_one, "/deliveries/p99_ms")?);
        let to_all = simulated(&cli, TO_1K).await?;
        thousand.push(millis(&to_all, "/deliveries_to_all/p99_ms")?);
        let to_all = simulated(&cli, TO_10K).await?;
        all.push(millis(&to_all, "/deliveries_to_all/p50_ms")? / 1_000.0);
        eprintln!("deliveries, run {run}: {one_p50:?} {one_p99:?} {thousand:?} {all:?}");
    }
    Ok(vec![
        Figure::of("publish_to_one_p50_ms", "ms", &one_p50, Must::AtMost(3.0)),
        Figure::of("publish_to_one_p99_ms", "ms", &one_p99, Must::AtMost(10.0)),
        Figure::of("publish_to_1k_p99_ms", "ms", &thousand, Must::AtMost(80.0)),
        Figure::of("publish_to_10k_s", "s", &all, Must::AtMost(0.8)),
    ])
}

/// What a simulation saw; one that went wrong, or saw too little, ends the command.
async fn simulated(cli: &Cli, how: [&str; 8]) -> Result<Value> {
    let usual = [
        "simulate",
        "--agents",
        AGENTS,
        "--failures",
        "0",
        "-o",
        "json",
    ];
    let said = cli.does(&[&usual[..], &how].concat()).await?;
    Ok(serde_json::from_str(&said.stdout)?)
}

fn millis(report: &Value, pointer: &str) -> Result<f64> {
    let number = report.pointer(pointer).and_then(Value::as_f64);
    number.with_context(|| format!("no {pointer} in {report}"))
}
