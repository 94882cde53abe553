//! A broker with `brokkr simulate` beside it, each a process of its own.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use brokkr_e2e::{Cli, Process, eventually};
use serde_json::Value;

/// Registering ten thousand agents takes a while.
const SETTLING: Duration = Duration::from_mins(2);

/// A simulation that runs.
pub struct Simulation {
    process: Process,
}

impl Simulation {
    /// Begins one without a warm-up and without failures, and waits until all its agents have what they should.
    pub async fn begin(cli: &Cli, how: &[&str]) -> Result<Self> {
        let usual = [
            "simulate",
            "--warm-up",
            "0s",
            "--failures",
            "0",
            "--keep",
            "-o",
            "json",
        ];
        let process = cli.start("simulate", &[&usual[..], how].concat())?;
        let log = cli.directory().join("simulate.log");
        eventually("all agents wait", SETTLING, async || {
            let said = tokio::fs::read_to_string(&log).await?;
            ensure!(said.contains("Measuring"), "{said}");
            Ok(())
        })
        .await?;
        Ok(Self { process })
    }

    /// What it saw in all. One that went wrong is an error.
    pub async fn end(mut self, directory: &Path) -> Result<Value> {
        let ended = self.process.ended().await?;
        ensure!(
            ended.success(),
            "the simulation in {}: {ended}",
            directory.display()
        );
        Ok(serde_json::from_str(&self.process.said().await?)?)
    }
}

/// What a process has in memory, in bytes.
pub fn memory(process: &Process) -> Result<f64> {
    let kilobytes = u32::try_from(process.memory()? / 1024)?;
    Ok(f64::from(kilobytes) * 1024.0)
}
