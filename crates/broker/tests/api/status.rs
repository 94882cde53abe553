use std::sync::Arc;
use std::time::Duration;

use brokkr_client::Client;
use brokkr_core::ambient::Ambient;
use brokkr_core::wire::{Health, StackStatus, Sync, TargetStatus};
use jiff::SignedDuration;

use crate::harness::*;

on_both_engines!(
    what_was_said_of_an_older_version_is_not_said_of_the_newest,
    a_silent_agents_word_is_not_passed_on,
    when_agents_polled_last_outlives_a_restart,
);

async fn status(admin: &Client) -> TargetStatus {
    admin
        .stack_status(&name("shop"))
        .await
        .expect("a status")
        .remove(0)
}

async fn report(admin: &Client, agent: &Client, sequence: u64) {
    let status = StackStatus {
        stack: admin.stack(&name("shop")).await.expect("a stack").id,
        seen: Some(sequence),
        applied: Some(sequence),
        sync: Sync::Synced,
        health: Health::Current,
        reason: Some("all is well".to_owned()),
        held: None,
    };
    agent.report_status(vec![status]).await.expect("reported");
}

async fn poll(agent: &Client) {
    agent
        .target_state(None, Duration::ZERO, Duration::from_secs(10))
        .await
        .expect("a state");
}

async fn what_was_said_of_an_older_version_is_not_said_of_the_newest(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::running(engine, "shop").await;
    poll(&agent).await;
    report(&admin, &agent, 1).await;
    let current = status(&admin).await;
    assert_eq!(
        (current.sync, current.health),
        (Sync::Synced, Health::Current)
    );
    publish(&admin, "shop", config_map("a", "2")).await;
    let newer = status(&admin).await;
    assert_eq!((newer.desired, newer.applied), (Some(2), Some(1)));
    assert_eq!((newer.sync, newer.reason), (Sync::Pending, None));
    let targets = admin
        .agent_targets(Some(&name("shop")), None)
        .await
        .expect("targets");
    admin
        .delete_agent_target(targets[0].id, None, &[])
        .await
        .expect("untargeted");
    let removing = status(&admin).await;
    assert_eq!((removing.desired, removing.sync), (None, Sync::Removing));
    broker.stop().await;
}

async fn a_silent_agents_word_is_not_passed_on(engine: Engine) {
    let database = Database::create(engine).await;
    let clock = Arc::new(Clock::default());
    let broker = database
        .start_with(Arc::clone(&clock) as Arc<dyn Ambient>)
        .await;
    let admin = broker.client(&database.admin_key());
    let agent = broker.client(&create_agent(&admin, "edge").await);
    create_stack(&admin, "shop").await;
    target(&admin, "edge", "shop").await;
    publish(&admin, "shop", config_map("a", "1")).await;
    poll(&agent).await;
    report(&admin, &agent, 1).await;
    for (seconds, is_silent) in [(140, false), (20, true)] {
        clock.pass(SignedDuration::from_secs(seconds));
        assert_eq!(
            admin.agent(&name("edge")).await.expect("an agent").silent,
            is_silent
        );
        let status = status(&admin).await;
        let (sync, health) = if is_silent {
            (Sync::Unknown, Health::Unknown)
        } else {
            (Sync::Synced, Health::Current)
        };
        assert_eq!((status.sync, status.health), (sync, health), "{status:?}");
        assert!(status.observed_at.is_some());
    }
    poll(&agent).await;
    assert_eq!(status(&admin).await.sync, Sync::Synced, "it is back");
    broker.stop().await;
}

async fn when_agents_polled_last_outlives_a_restart(engine: Engine) {
    let before = Timed::set(engine).await;
    create_agent(&before.admin, "silent").await;
    let polling = ["north", "south", "west"];
    for agent in polling {
        let key = create_agent(&before.admin, agent).await;
        poll(&before.broker.client(&key)).await;
    }
    let seen = |admin: Client| async move {
        let mut seen = Vec::new();
        for agent in polling {
            let agent = admin.agent(&name(agent)).await.expect("an agent");
            seen.push(agent.last_seen.expect("a poll"));
        }
        seen
    };
    let polled = seen(before.admin.clone()).await;
    let after = before.restarted().await;
    assert_eq!(seen(after.admin.clone()).await, polled);
    let silent = after.admin.agent(&name("silent")).await;
    assert_eq!(silent.expect("an agent").last_seen, None);
    after.broker.stop().await;
}
