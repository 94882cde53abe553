use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// What the kernel says of this process, under the names that all exporters use. Where it says nothing, there is nothing.
#[derive(Debug)]
pub(super) struct Process;

/// How many parts of a second `/proc` counts in; the same on every Linux.
const TICKS: f64 = 100.0;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        if let Some(bytes) = resident() {
            let help = "Memory of the process that is in use";
            let name = "process_resident_memory_bytes";
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(bytes).encode(metric)?;
        }
        if let Some(seconds) = cpu() {
            let help = "Time that the process has spent on processors";
            let name = "process_cpu_seconds";
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(seconds).encode(metric)?;
        }
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            let help = "Files and connections that the process has open";
            let name = "process_open_fds";
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            let files = u64::try_from(files.count()).unwrap_or(u64::MAX);
            ConstGauge::new(files).encode(metric)?;
        }
        Ok(())
    }
}

fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes: u64 = line?.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

fn cpu() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the process may hold anything; behind its last bracket the third field follows.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS)
}
