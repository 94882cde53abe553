use std::time::{Duration, Instant};

use brokkr_client::{Client, Poll};
use brokkr_core::ambient::System;
use brokkr_core::pak::{Pak, Role};
use brokkr_core::wire::Code;

use crate::harness::*;

on_both_engines!(
    an_unchanged_poll_reads_no_database,
    a_bad_key_reads_no_database,
    a_waiting_poll_hears_of_a_publish,
    a_publish_elsewhere_wakes_nobody,
    a_deleted_agents_poll_ends,
    a_restart_keeps_the_tag,
);

const INTERVAL: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(30);

async fn etag_of(agent: &Client) -> String {
    match agent
        .target_state(None, Duration::ZERO, INTERVAL)
        .await
        .expect("a state")
    {
        Poll::Changed { etag, .. } => etag,
        Poll::Unchanged => panic!("a first poll has an answer"),
    }
}

async fn an_unchanged_poll_reads_no_database(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::running(engine, "shop").await;
    let etag = etag_of(&agent).await;
    let before = broker.broker.database_reads();
    for _ in 0..100 {
        let poll = agent
            .target_state(Some(&etag), Duration::ZERO, INTERVAL)
            .await
            .expect("an answer");
        assert!(matches!(poll, Poll::Unchanged));
    }
    assert_eq!(broker.broker.database_reads(), before);
    admin.stacks().await.expect("stacks");
    assert!(
        broker.broker.database_reads() > before,
        "the counter counts"
    );
    broker.stop().await;
}

/// Who floods the broker with keys that are none must not reach the database.
async fn a_bad_key_reads_no_database(engine: Engine) {
    let scene = Scene::set(engine).await;
    let before = scene.broker.broker.database_reads();
    for role in [Role::Admin, Role::Agent, Role::Generator] {
        let unknown = scene.broker.client(&Pak::generate(role, &System));
        assert!(unknown.me().await.is_err());
        assert!(unknown.stacks().await.is_err());
        assert!(
            unknown
                .target_state(None, Duration::ZERO, INTERVAL)
                .await
                .is_err()
        );
    }
    for authorization in ["", "Bearer", "Basic eDp5", "Bearer x"] {
        let answer = reqwest::Client::new()
            .get(format!("{}/api/v1/stacks", scene.broker.server))
            .header("authorization", authorization)
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 401, "{authorization}");
    }
    assert_eq!(scene.broker.broker.database_reads(), before);
    scene.broker.stop().await;
}

async fn a_waiting_poll_hears_of_a_publish(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    create_stack(&admin, "shop").await;
    target(&admin, "edge", "shop").await;
    let etag = etag_of(&agent).await;
    let waiting =
        tokio::spawn(async move { agent.target_state(Some(&etag), LONG, INTERVAL).await });
    let published = publish(&admin, "shop", config_map("a", "1")).await;
    let poll = waiting.await.expect("a poll").expect("an answer");
    let Poll::Changed { state, .. } = poll else {
        panic!("the publish changes the state")
    };
    assert_eq!(
        state.stacks[0].deployment_object,
        published.deployment_object.id
    );
    broker.stop().await;
}

async fn a_publish_elsewhere_wakes_nobody(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    create_stack(&admin, "shop").await;
    let etag = etag_of(&agent).await;
    let started = Instant::now();
    let wait = Duration::from_secs(1);
    let (poll, _) = tokio::join!(
        agent.target_state(Some(&etag), wait, INTERVAL),
        publish(&admin, "shop", config_map("a", "1")),
    );
    assert!(matches!(poll.expect("an answer"), Poll::Unchanged));
    assert!(
        started.elapsed() >= wait.mul_f64(0.9),
        "the poll waited to its end"
    );
    broker.stop().await;
}

async fn a_deleted_agents_poll_ends(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    let etag = etag_of(&agent).await;
    let waiting =
        tokio::spawn(async move { agent.target_state(Some(&etag), LONG, INTERVAL).await });
    admin.delete_agent(&name("edge")).await.expect("deleted");
    let error = waiting
        .await
        .expect("a poll")
        .expect_err("the agent is retired");
    assert_eq!(error.code(), Some(Code::AgentRetired));
    broker.stop().await;
}

async fn a_restart_keeps_the_tag(engine: Engine) {
    let database = Database::create(engine).await;
    let broker = database.start().await;
    let admin = broker.client(&database.admin_key());
    let key = create_agent(&admin, "edge").await;
    create_stack(&admin, "shop").await;
    target(&admin, "edge", "shop").await;
    publish(&admin, "shop", config_map("a", "1")).await;
    let etag = etag_of(&broker.client(&key)).await;
    broker.stop().await;
    let broker = database.start().await;
    assert_eq!(etag_of(&broker.client(&key)).await, etag);
    broker.stop().await;
}
