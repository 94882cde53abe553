//! An event is recorded once, however often it is told, and only about a stack that is the agent's.

use anyhow::{Result, ensure};
use brokkr_core::wire::{AgentEvent, Outcome, RecordedEvent};
use brokkr_e2e::{Raw, Stage, below, event, shuffle};

on_both_engines!(
    without a cluster:
    an_event_told_again_only_grows_its_count,
    reports_that_are_repeated_and_reordered_are_one_history,
    nothing_is_recorded_about_stacks_of_others,
);

async fn an_event_told_again_only_grows_its_count(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let agent = broker.client(&broker.new_agent("agent").await?)?;
    let stack = broker.new_stack("checkout").await?.id;
    broker.target("agent", "checkout").await?;
    let [event, other] = [event(stack), event(stack)];
    let counted = |count| AgentEvent {
        count,
        ..event.clone()
    };

    agent
        .report_events(vec![event.clone(), event.clone()])
        .await?;
    agent.report_events(vec![counted(7), other.clone()]).await?;
    let late = AgentEvent {
        outcome: Outcome::Failed,
        ..counted(3)
    };
    agent.report_events(vec![late]).await?;

    let recorded: Vec<RecordedEvent> = Raw::admin(&broker)?.list("/events").await?;
    let mut recorded: Vec<_> = recorded.into_iter().map(|one| one.event).collect();
    recorded.sort_by_key(|event| event.count);
    ensure!(recorded == [other, counted(7)], "{recorded:#?}");
    Ok(())
}

/// Each event grows five times; each of its reports is sent one to five times, all of them in any order.
async fn reports_that_are_repeated_and_reordered_are_one_history(stage: &Stage) -> Result<()> {
    const EVENTS: usize = 60;
    const GREATEST: u64 = 5;
    let broker = stage.broker("broker").await?;
    let agent = broker.client(&broker.new_agent("agent").await?)?;
    let stack = broker.new_stack("checkout").await?.id;
    broker.target("agent", "checkout").await?;
    let events: Vec<_> = (0..EVENTS).map(|_| event(stack)).collect();
    let grown = |event: &AgentEvent, count| AgentEvent {
        count,
        ..event.clone()
    };
    let mut reports = Vec::new();
    for event in &events {
        for count in 1..=GREATEST {
            let times = 1 + below(5);
            reports.extend(std::iter::repeat_n(grown(event, count), times));
        }
    }
    shuffle(&mut reports);
    let mut reports = reports.as_slice();
    while !reports.is_empty() {
        let (batch, rest) = reports.split_at((1 + below(100)).min(reports.len()));
        agent.report_events(batch.to_vec()).await?;
        reports = rest;
    }

    let recorded: Vec<RecordedEvent> = Raw::admin(&broker)?.list("/events").await?;
    let mut recorded: Vec<_> = recorded.into_iter().map(|one| one.event).collect();
    let mut wanted: Vec<_> = events.iter().map(|event| grown(event, GREATEST)).collect();
    recorded.sort_by_key(|event| event.id);
    wanted.sort_by_key(|event| event.id);
    ensure!(
        recorded == wanted,
        "{} of {EVENTS} rows: {recorded:#?}",
        recorded.len()
    );
    Ok(())
}

async fn nothing_is_recorded_about_stacks_of_others(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let targeted = broker.client(&broker.new_agent("targeted").await?)?;
    let stranger = broker.client(&broker.new_agent("stranger").await?)?;
    let stack = broker.new_stack("checkout").await?.id;
    broker.target("targeted", "checkout").await?;
    let event = event(stack);

    stranger.report_events(vec![event.clone()]).await?;
    targeted.report_events(vec![event.clone()]).await?;

    let recorded: Vec<RecordedEvent> = Raw::admin(&broker)?.list("/events").await?;
    let agents: Vec<_> = recorded.iter().map(|one| one.agent_name.as_str()).collect();
    ensure!(agents == ["targeted"], "{recorded:#?}");
    Ok(())
}
