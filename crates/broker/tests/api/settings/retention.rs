use brokkr_client::{Client, EventFilter};
use brokkr_core::ambient::{Ambient, System};
use brokkr_core::pak::Pak;
use brokkr_core::wire::{Action, AgentEvent, Health, Outcome, StackStatus, Sync};
use brokkr_core::{EventId, StackId};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::settle;
use crate::harness::*;

on_both_engines!(
    old_events_go_and_statuses_stay,
    what_is_told_again_of_old_does_not_come_back,
    what_revisions_touched_is_forgotten_after_a_week,
);

const COUNT: &str = "select count(*) from agent_events";

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

fn event(stack: StackId, at: Timestamp) -> AgentEvent {
    AgentEvent {
        id: EventId::generate(&System),
        stack,
        deployment_object: None,
        sequence: Some(1),
        action: Action::Apply,
        outcome: Outcome::Failed,
        reason: None,
        objects: Vec::new(),
        count: 1,
        first: at,
        last: at,
    }
}

/// The same once more.
fn grown(event: &AgentEvent, at: Timestamp) -> AgentEvent {
    AgentEvent {
        count: event.count + 1,
        last: at,
        ..event.clone()
    }
}

/// A stack that an agent runs.
async fn running(timed: &Timed) -> (Pak, StackId) {
    let admin = &timed.admin;
    let agent = create_agent(admin, "edge").await;
    create_stack(admin, "shop").await;
    target(admin, "edge", "shop").await;
    publish(admin, "shop", config_map("a", "1")).await;
    let stack = admin.stack(&name("shop")).await.expect("a stack").id;
    (agent, stack)
}

async fn tell(timed: &Timed, agent: &Pak, events: &[AgentEvent]) {
    let agent = timed.broker.client(agent);
    for batch in events.chunks(100) {
        let told = agent.report_events(batch.to_vec()).await;
        told.expect("heard");
    }
}

async fn recorded(admin: &Client) -> Vec<EventId> {
    let events = admin.events(&EventFilter::default(), 100).await;
    let events = events.expect("events").into_iter();
    events.map(|recorded| recorded.event.id).collect()
}

/// Waits until a sweep has gone past the events, which it does first.
async fn swept(timed: &Timed) {
    eventually("no change is left that is so old", async || {
        timed.database.number("select count(*) from changes").await == 0
    })
    .await;
}

async fn left(timed: &Timed, events: i64) {
    eventually(&format!("{events} events are left"), async || {
        timed.database.number(COUNT).await == events
    })
    .await;
}

async fn old_events_go_and_statuses_stay(engine: Engine) {
    let timed = Timed::set(engine).await;
    let (agent, stack) = running(&timed).await;
    let status = StackStatus {
        stack,
        seen: Some(1),
        applied: Some(1),
        sync: Sync::Failed,
        health: Health::Degraded,
        reason: Some("no memory".to_owned()),
        held: None,
    };
    let client = timed.broker.client(&agent);
    client.report_status(vec![status]).await.expect("heard");
    // More than one chunk, with one in its midst that goes on.
    let old: Vec<_> = (0..1_200)
        .map(|_| event(stack, timed.clock.now()))
        .collect();
    tell(&timed, &agent, &old).await;
    timed.clock.pass(days(60));
    let middle = event(stack, timed.clock.now());
    let goes_on = grown(&old[700], timed.clock.now());
    tell(&timed, &agent, &[middle.clone(), goes_on.clone()]).await;
    timed.clock.pass(days(40));
    let young = event(stack, timed.clock.now());
    tell(&timed, &agent, std::slice::from_ref(&young)).await;
    let timed = timed.restarted().await;
    swept(&timed).await;
    let all = timed.database.number(COUNT).await;
    assert_eq!(all, 1_202, "nobody asked for less");

    settle(
        &timed.admin,
        json!({"retention": {"agent_events_days": 90}}),
    )
    .await;
    left(&timed, 3).await;
    assert_eq!(
        recorded(&timed.admin).await,
        [young.id, middle.id, goes_on.id]
    );
    let statuses = timed.admin.stack_status(&name("shop")).await;
    let status = statuses.expect("a status").remove(0);
    // The agent is silent by now, which is another matter.
    assert_eq!((status.applied, status.desired), (Some(1), Some(1)));
    let poll = timed.broker.client(&agent);
    state_of(&poll).await;
    let statuses = timed.admin.stack_status(&name("shop")).await;
    let status = statuses.expect("a status").remove(0);
    assert_eq!(
        (status.sync, status.health, status.reason.as_deref()),
        (Sync::Failed, Health::Degraded, Some("no memory"))
    );

    // What the hours bring, a start brings too.
    timed.clock.pass(days(60));
    let timed = timed.restarted().await;
    left(&timed, 1).await;
    assert_eq!(recorded(&timed.admin).await, [young.id]);
    settle(&timed.admin, json!({"retention": null})).await;
    timed.clock.pass(days(1_000));
    let timed = timed.restarted().await;
    swept(&timed).await;
    assert_eq!(recorded(&timed.admin).await, [young.id], "kept for ever");
    timed.broker.stop().await;
}

async fn what_is_told_again_of_old_does_not_come_back(engine: Engine) {
    let timed = Timed::set(engine).await;
    let (agent, stack) = running(&timed).await;
    let old = event(stack, timed.clock.now());
    tell(&timed, &agent, std::slice::from_ref(&old)).await;
    settle(&timed.admin, json!({"retention": {"agent_events_days": 7}})).await;
    timed.clock.pass(days(6));
    let kept = event(stack, timed.clock.now());
    tell(&timed, &agent, &[old.clone(), kept.clone()]).await;
    assert_eq!(recorded(&timed.admin).await, [kept.id, old.id]);
    timed.clock.pass(days(2));
    // Nothing has looked for it yet: telling it again changes nothing.
    tell(&timed, &agent, std::slice::from_ref(&old)).await;
    let timed = timed.restarted().await;
    left(&timed, 1).await;
    for _ in 0..3 {
        tell(&timed, &agent, std::slice::from_ref(&old)).await;
        assert_eq!(recorded(&timed.admin).await, [kept.id]);
    }
    // What an agent that was away tells late is recorded if it is not too old, and so is what goes on.
    let late = event(stack, timed.clock.now() - days(6));
    let goes_on = grown(&old, timed.clock.now());
    tell(&timed, &agent, &[late.clone(), goes_on]).await;
    let mut now = recorded(&timed.admin).await;
    now.sort();
    let mut all = vec![kept.id, late.id, old.id];
    all.sort();
    assert_eq!(now, all);
    timed.broker.stop().await;
}

async fn what_revisions_touched_is_forgotten_after_a_week(engine: Engine) {
    let timed = Timed::set(engine).await;
    let (agent, _) = running(&timed).await;
    for turn in 0..4 {
        publish(&timed.admin, "shop", config_map("a", &turn.to_string())).await;
    }
    let changes = "select count(*) from changes";
    let before = timed.database.number(changes).await;
    timed.clock.pass(days(6));
    let timed = timed.restarted().await;
    publish(&timed.admin, "shop", config_map("a", "young")).await;
    assert_eq!(timed.database.number(changes).await, before + 1);
    timed.clock.pass(days(2));
    let timed = timed.restarted().await;
    eventually("what is older than a week is gone", async || {
        timed.database.number(changes).await == 1
    })
    .await;
    // History, audit and polls do not need them.
    publish(&timed.admin, "shop", config_map("a", "last")).await;
    let state = state_of(&timed.broker.client(&agent)).await;
    assert_eq!(state.stacks[0].sequence, 7);
    let url = timed.database.url.clone();
    timed.broker.stop().await;
    brokkr_broker::verify(&url).await.expect("a whole audit");
}
