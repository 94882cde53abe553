//! An event is recorded once, however often it is told, and only about a stack that is the agent's.

use anyhow::{Result, ensure};
use brokkr_core::wire::{AgentEvent, Outcome, RecordedEvent};
use brokkr_e2e::{Raw, Stage, event};

on_both_engines!(
    without a cluster:
    an_event_told_again_only_grows_its_count,
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
