//! What the containers of a stack wrote last, without what its Secrets hold.

mod runs;
mod written;

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use brokkr_core::access::Rule;
use brokkr_core::readiness;
use brokkr_core::wire::{ContainerLog, Health, StackLogs, WhichLogs};
use brokkr_core::{ObjectKey, StackId};
use futures::FutureExt;
use serde_json::Value;

use super::Reconciler;
use super::teller::{self, Teller};
use super::workloads::{self, Extent, Looked};
use crate::Error;
use crate::cluster::{Cluster, LogPart};
use crate::observe;
use runs::Run;

const MOST_PODS: usize = 20;
const MOST_LOGS: usize = 40;
/// What is read of one log, in bytes.
const MOST_READ: usize = 256 * 1024;
/// What is told of one log, in bytes of JSON, and of all of them together.
const MOST_TOLD: usize = 64 * 1024;
const MOST_TOGETHER: usize = 512 * 1024;
/// A node that does not answer keeps no other waiting for long.
const PATIENCE: Duration = Duration::from_secs(5);

/// A run of a container of a pod.
struct Wanted {
    pod: ObjectKey,
    run: Run,
}

impl Reconciler {
    /// Reads what containers of a stack's pods wrote. No value of a Secret is told that these contents or the cluster have.
    pub async fn logs(
        &self,
        stack: StackId,
        contents: &[Arc<str>],
        which: &WhichLogs,
    ) -> Result<StackLogs, Error> {
        self.records.look().await?;
        let inventory = self.records.open(stack).await?;
        let cluster = &self.seen_by_owner(&inventory);
        let teller = Teller::new(self.redactor(cluster, &inventory, contents).await?);
        let redactor = &teller.redactor;
        let takes_time = readiness::takes_time;
        let judged = observe::judge(cluster, &inventory, takes_time, redactor).await?;
        let extent = if which.all {
            Extent::All
        } else {
            Extent::Unwell
        };
        let mut remarks = BTreeSet::new();
        let looked = workloads::look_at_pods(cluster, judged, extent, &teller, &mut remarks).await;
        let mut wanted = wanted(&looked, which, &mut remarks);
        let more = wanted.len().saturating_sub(MOST_LOGS) as u64;
        wanted.truncate(MOST_LOGS);
        let logs = read_all(cluster, wanted, which, &teller, &mut remarks).await;
        Ok(StackLogs {
            logs,
            more,
            remarks: teller::remarks(remarks),
        })
    }
}

/// Reads them at the same time, and tells of them in their order.
async fn read_all(
    cluster: &Cluster,
    wanted: Vec<Wanted>,
    which: &WhichLogs,
    teller: &Teller,
    remarks: &mut BTreeSet<String>,
) -> Vec<ContainerLog> {
    let room = MOST_TOLD.min(MOST_TOGETHER / wanted.len().max(1));
    let cluster = &cluster.clone().patient_for(PATIENCE);
    let reads = wanted.into_iter().enumerate();
    let reads: Vec<_> = reads
        .map(|(number, one)| {
            read(cluster, one, which.tail.get(), room, teller)
                .map(move |log| (number, log))
                .boxed()
        })
        .collect();
    let mut logs = cluster.together(reads).await;
    logs.sort_by_key(|(number, _)| *number);
    let mut told = Vec::with_capacity(logs.len());
    for (_, log) in logs {
        match log {
            Ok(log) => told.push(log),
            Err(remark) => {
                remarks.insert(remark);
            }
        }
    }
    told
}

/// The runs whose logs are asked for, those of the worst pods first.
fn wanted(looked: &[Looked<'_>], which: &WhichLogs, remarks: &mut BTreeSet<String>) -> Vec<Wanted> {
    let mut pods: Vec<(&Value, Health)> = looked
        .iter()
        .flat_map(|one| &one.pods)
        .map(|pod| (pod, readiness::of_pod(pod).health))
        .filter(|(_, health)| which.all || *health != Health::Current)
        .collect();
    pods.sort_by_cached_key(|(pod, health)| (Reverse(*health), key(pod)));
    if pods.len() > MOST_PODS {
        let more = pods.len() - MOST_PODS;
        remarks.insert(format!("the logs of {more} more pods were not read"));
        pods.truncate(MOST_PODS);
    }
    pods.into_iter()
        .flat_map(|(pod, _)| {
            let runs = runs::of(pod, which).into_iter();
            runs.map(|run| Wanted { pod: key(pod), run })
        })
        .collect()
}

fn key(pod: &Value) -> ObjectKey {
    let text = |pointer| pod.pointer(pointer).and_then(Value::as_str);
    ObjectKey {
        group: String::new(),
        kind: "Pod".to_owned(),
        namespace: text("/metadata/namespace").map(str::to_owned),
        name: text("/metadata/name").unwrap_or_default().to_owned(),
    }
}

/// One log; or, where logs may not be seen at all, what to do.
async fn read(
    cluster: &Cluster,
    wanted: Wanted,
    lines: u32,
    room: usize,
    teller: &Teller,
) -> Result<ContainerLog, String> {
    let Wanted { pod, run } = wanted;
    let mut log = ContainerLog {
        namespace: pod.namespace.clone().unwrap_or_default(),
        pod: pod.name.clone(),
        container: run.container,
        previous: run.previous,
        lines: Vec::new(),
        is_cut: false,
        failure: None,
    };
    if let Some(why) = run.nothing {
        log.failure = Some(teller.tell(&why));
        return Ok(log);
    }
    match newest(cluster, &pod, &log, lines).await {
        Ok((text, is_cut)) => {
            let lines = written::lines(&text, room, &teller.redactor);
            log.is_cut = is_cut || lines.are_cut;
            log.lines = lines.lines;
        }
        Err(error) if error.is_forbidden() => {
            let what = format!("the logs in namespace {}", log.namespace);
            return Err(teller.unseen(&what, &error, &Rule::logs()));
        }
        Err(error) => log.failure = Some(teller.tell(&error.to_string())),
    }
    Ok(log)
}

/// The last lines of a log, and whether some that were asked for are left out. Of the lines that are asked for a server tells the
/// oldest first, so where they are too long together, fewer are asked for.
async fn newest(
    cluster: &Cluster,
    pod: &ObjectKey,
    log: &ContainerLog,
    mut lines: u32,
) -> Result<(String, bool), Error> {
    let mut is_cut = false;
    loop {
        let part = LogPart {
            previous: log.previous,
            lines,
            bytes: MOST_READ,
        };
        let read = cluster.log(pod, &log.container, part).await?;
        let text = String::from_utf8_lossy(&read);
        if read.len() < MOST_READ {
            return Ok((text.into_owned(), is_cut));
        }
        is_cut = true;
        if lines == 1 {
            return Ok((written::without_rest(&text).to_owned(), is_cut));
        }
        lines = (lines / 8).max(1);
    }
}

#[cfg(test)]
mod tests;
