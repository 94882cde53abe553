//! Writers that go on until the broker is gone, and remember what it acknowledged.

use anyhow::{Result, bail};
use brokkr_client::{Client, Error};
use brokkr_core::Reference;
use brokkr_core::id::{EventId, StackId};
use brokkr_core::wire::{DeploymentObject, Publish, PublishOptions};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{event, unique};
use tokio::sync::watch;

/// What a broker said that it has.
#[derive(Default)]
pub struct Acknowledged {
    pub published: Vec<DeploymentObject>,
    pub reported: Vec<EventId>,
}

impl Acknowledged {
    pub fn extend(&mut self, more: Self) {
        self.published.extend(more.published);
        self.reported.extend(more.reported);
    }
}

/// Publishes snapshot after snapshot.
pub async fn keep_publishing(
    admin: Client,
    stack: StackId,
    count: watch::Sender<usize>,
) -> Result<Acknowledged> {
    let mut acknowledged = Acknowledged::default();
    loop {
        let publish = Publish {
            manifests: config_map("a", &unique()),
            options: PublishOptions::default(),
        };
        match admin.publish(&Reference::Id(stack.uuid()), &publish).await {
            Ok(published) => acknowledged.published.push(published.deployment_object),
            Err(error) if is_the_kill(&error) => return Ok(acknowledged),
            Err(error) => bail!("a publish was refused: {error:?}"),
        }
        count.send_modify(|count| *count += 1);
    }
}

/// Reports events in batches of ten.
pub async fn keep_reporting(
    agent: Client,
    stack: StackId,
    count: watch::Sender<usize>,
) -> Result<Acknowledged> {
    let mut acknowledged = Acknowledged::default();
    loop {
        let batch: Vec<_> = (0..10).map(|_| event(stack)).collect();
        let ids = batch.iter().map(|event| event.id).collect::<Vec<_>>();
        match agent.report_events(batch).await {
            Ok(()) => acknowledged.reported.extend(ids),
            Err(error) if is_the_kill(&error) => return Ok(acknowledged),
            Err(error) => bail!("events were refused: {error:?}"),
        }
        count.send_modify(|count| *count += 1);
    }
}

fn is_the_kill(error: &Error) -> bool {
    matches!(error, Error::Unreachable { .. })
}
