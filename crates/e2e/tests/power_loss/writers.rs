//! Writers that note at which moment of the disk each of their writes had been acknowledged.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, ensure};
use brokkr_client::Client;
use brokkr_core::Reference;
use brokkr_core::id::{EventId, StackId};
use brokkr_core::wire::{DeploymentObject, Publish, PublishOptions};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Broker, Disk, below, event, unique};
use tokio::task::JoinSet;

/// Two writers share each stack, so that sequences are contended.
const STACKS: usize = 2;
const WRITERS_PER_STACK: usize = 2;
const REPORTERS: usize = 2;
/// Each writes so often before the broker is started again, and afterwards.
const WRITES: usize = 40;

/// What the broker said that it has.
pub enum Written {
    Snapshot(DeploymentObject),
    Events(Vec<EventId>),
}

/// An acknowledged write.
pub struct Note {
    pub what: Written,
    /// How far the journal of the disk had come when the answer was there.
    pub moment: u64,
}

/// Lets all write to a broker that is started on an empty disk, stopped in between, and stopped at the end.
pub async fn write_on(disk: &Arc<Disk>, logs: &Path) -> Result<Vec<Note>> {
    let mut broker = Broker::start_on(disk, "broker", logs).await?;
    let agent_key = broker.new_agent("agent").await?;
    let mut stacks = Vec::new();
    for number in 0..STACKS {
        let name = format!("stack-{number}");
        stacks.push(broker.new_stack(&name).await?.id);
        broker.target("agent", &name).await?;
    }
    let mut notes = Vec::new();
    for is_last in [false, true] {
        let mut writers = JoinSet::new();
        for stack in &stacks {
            for _ in 0..WRITERS_PER_STACK {
                writers.spawn(publish(broker.admin().clone(), *stack, Arc::clone(disk)));
            }
        }
        for _ in 0..REPORTERS {
            let agent = broker.client(&agent_key)?;
            writers.spawn(report(agent, stacks[0], Arc::clone(disk)));
        }
        while let Some(written) = writers.join_next().await {
            notes.extend(written??);
        }
        let status = broker.terminate().await?;
        ensure!(status.success(), "the broker ended with {status}");
        if !is_last {
            broker.start_again().await?;
        }
    }
    Ok(notes)
}

async fn publish(admin: Client, stack: StackId, disk: Arc<Disk>) -> Result<Vec<Note>> {
    let mut notes = Vec::new();
    for _ in 0..WRITES {
        // Of a few bytes, or of several pages.
        let words: String = (0..=below(1_000)).map(|_| unique()).collect();
        let publish = Publish {
            manifests: config_map("a", &words),
            options: PublishOptions::default(),
        };
        let published = admin
            .publish(&Reference::Id(stack.uuid()), &publish)
            .await?;
        notes.push(Note {
            what: Written::Snapshot(published.deployment_object),
            moment: disk.moment()?,
        });
    }
    Ok(notes)
}

async fn report(agent: Client, stack: StackId, disk: Arc<Disk>) -> Result<Vec<Note>> {
    let mut notes = Vec::new();
    for _ in 0..WRITES {
        let batch: Vec<_> = (0..10).map(|_| event(stack)).collect();
        let ids = batch.iter().map(|event| event.id).collect();
        agent.report_events(batch).await?;
        notes.push(Note {
            what: Written::Events(ids),
            moment: disk.moment()?,
        });
    }
    Ok(notes)
}
