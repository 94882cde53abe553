//! More reports than the database takes.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use brokkr_client::{Client, Poll};
use brokkr_core::ObjectKey;
use brokkr_core::id::{EventId, StackId};
use brokkr_core::wire::{AgentEvent, ObjectOutcome, ObjectResult, RecordedEvent};
use brokkr_e2e::{PATIENCE, Raw, Stage, event};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::load::is_forgivable;
use super::polling::state;

mod on_sqlite {
    test!(a_flood_of_events_is_shed_and_none_is_lost on Sqlite);
}

/// Each reports an eighth of what may wait to be written.
const REPORTERS: usize = 11;
const EVENTS: usize = 30;
const OBJECTS: usize = 2_200;
const MEGABYTE: u64 = 1024 * 1024;

async fn a_flood_of_events_is_shed_and_none_is_lost(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let watcher = broker.client(&broker.new_agent("watcher").await?)?;
    let (etag, _) = state(&watcher).await?;
    let stack = broker.new_stack("shop").await?.id;
    let mut agents = Vec::new();
    for number in 0..REPORTERS {
        let name = format!("agent-{number}");
        agents.push(broker.client(&broker.new_agent(&name).await?)?);
        broker.target(&name, "shop").await?;
    }
    let before = broker.process().memory()?;

    // While somebody else writes, what is reported waits.
    let other = stage.database().begin_to_write().await?;
    let (shed, mut sheds) = watch::channel(0);
    let mut reporting = JoinSet::new();
    for agent in agents {
        reporting.spawn(report(agent, stack, shed.clone()));
    }
    let is_shed = sheds.wait_for(|shed| *shed >= 2);
    let shed_in_time = timeout(PATIENCE, is_shed).await;
    shed_in_time.context("nothing is shed")??;
    for _ in 0..20 {
        let poll = watcher.target_state(Some(&etag), Duration::ZERO, Duration::from_secs(1));
        ensure!(matches!(poll.await?, Poll::Unchanged));
    }
    let more = broker.process().memory()?.saturating_sub(before);
    ensure!(more < 512 * MEGABYTE, "{more} bytes more than before");
    drop(other);

    let mut reported = HashSet::new();
    while let Some(ids) = reporting.join_next().await {
        reported.extend(ids??);
    }
    let events: Vec<RecordedEvent> = Raw::admin(&broker)?.list("/events").await?;
    ensure!(
        events.len() == REPORTERS * EVENTS,
        "{} events",
        events.len()
    );
    let recorded: HashSet<_> = events.into_iter().map(|event| event.event.id).collect();
    ensure!(
        recorded == reported,
        "an event is lost, or another one there"
    );
    Ok(())
}

/// Reports the same until it is acknowledged.
pub(super) async fn report(
    agent: Client,
    stack: StackId,
    shed: watch::Sender<usize>,
) -> Result<Vec<EventId>> {
    let outcome = |number: usize| ObjectOutcome {
        object: ObjectKey {
            group: String::new(),
            kind: "A".to_owned(),
            namespace: None,
            name: number.to_string(),
        },
        result: ObjectResult::Created,
        reason: None,
    };
    let events = (0..EVENTS).map(|_| AgentEvent {
        objects: (0..OBJECTS).map(outcome).collect(),
        ..event(stack)
    });
    let events: Vec<_> = events.collect();
    while let Err(error) = agent.report_events(events.clone()).await {
        is_forgivable(&error)?;
        shed.send_modify(|shed| *shed += 1);
        // As the agent does, in less time.
        sleep(Duration::from_millis(200)).await;
    }
    Ok(events.iter().map(|event| event.id).collect())
}
