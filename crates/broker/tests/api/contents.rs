//! Contents are read from the database once, however many agents want them, and never by whom they are not for.

use std::collections::HashSet;

use brokkr_client::Client;
use brokkr_core::ambient::{Ambient, System};
use brokkr_core::id::DeploymentObjectId;
use brokkr_core::wire::Code;
use data_encoding::BASE64;
use futures::future::join_all;

use crate::harness::*;

on_both_engines!(
    a_herd_reads_a_content_once,
    a_content_that_is_held_is_for_those_who_run_it_only,
    no_more_contents_are_held_than_there_is_room_for,
    a_large_content_is_held_too,
);

const HERD: usize = 40;

async fn a_herd_reads_a_content_once(engine: Engine) {
    let Scene { broker, admin, .. } = Scene::set(engine).await;
    create_stack(&admin, "shop").await;
    let mut herd = Vec::new();
    for number in 0..HERD {
        let name = format!("edge-{number}");
        herd.push(broker.client(&create_agent(&admin, &name).await));
        target(&admin, &name, "shop").await;
    }
    for value in ["1", "2"] {
        let content = config_map("a", value);
        let id = publish(&admin, "shop", content.clone())
            .await
            .deployment_object
            .id;
        let before = broker.broker.database_reads();
        let got = join_all(herd.iter().map(|agent| agent.manifests(id))).await;
        let got: HashSet<_> = got.into_iter().map(|got| got.expect("a content")).collect();
        assert_eq!(got, HashSet::from([content]));
        assert_eq!(broker.broker.database_reads(), before + 1);
    }
    broker.stop().await;
}

/// The same content at two owners is two contents, and what an agent no longer runs it no longer reads.
async fn a_content_that_is_held_is_for_those_who_run_it_only(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    create_stack(&admin, "shop").await;
    target(&admin, "edge", "shop").await;
    let published = publish(&admin, "shop", config_map("a", "1")).await;
    let id = published.deployment_object.id;
    agent.manifests(id).await.expect("its own");

    let stranger = broker.client(&create_agent(&admin, "stranger").await);
    let refused = stranger.manifests(id).await.expect_err("another's");
    assert_eq!(refused.code(), Some(Code::NotFound));
    // What it ran before it may read again, with the database.
    publish(&admin, "shop", config_map("a", "2")).await;
    agent.manifests(id).await.expect("an older one");
    let targets = admin.agent_targets(None, None).await.expect("targets");
    admin
        .delete_agent_target(targets[0].id, None, &[])
        .await
        .expect("an end");
    let refused = agent.manifests(id).await.expect_err("no longer its own");
    assert_eq!(refused.code(), Some(Code::NotFound));
    broker.stop().await;
}

/// What cannot be compressed: so many bytes, written as text.
fn noise(bytes: usize) -> String {
    let mut noise = vec![0; bytes];
    System.fill(&mut noise);
    config_map("a", &BASE64.encode(&noise))
}

async fn no_more_contents_are_held_than_there_is_room_for(engine: Engine) {
    const ROOM: usize = 32 * 1024 * 1024;
    const EACH: usize = 512 * 1024;
    let Scene { broker, admin, .. } = Scene::set(engine).await;
    create_stack(&admin, "shop").await;
    let mut ids = Vec::new();
    while ids.len() * EACH <= ROOM + ROOM / 4 {
        let published = publish(&admin, "shop", noise(EACH)).await;
        ids.push(published.deployment_object.id);
    }
    let mut held = 0;
    for id in &ids {
        assert_eq!(
            reads(*id, &broker, &admin).await,
            2,
            "nobody has read it yet"
        );
    }
    for id in &ids {
        held += usize::from(reads(*id, &broker, &admin).await == 1);
    }
    assert!(held > 0 && held * EACH <= ROOM, "{held} are held");
    broker.stop().await;
}

/// How often a content is looked for in the database: who may read it is asked each time, what it is if it is not held.
async fn reads(id: DeploymentObjectId, broker: &TestBroker, admin: &Client) -> u64 {
    let before = broker.broker.database_reads();
    admin.manifests(id).await.expect("a content");
    broker.broker.database_reads() - before
}

async fn a_large_content_is_held_too(engine: Engine) {
    let Scene { broker, admin, .. } = Scene::set(engine).await;
    create_stack(&admin, "shop").await;
    let published = publish(&admin, "shop", noise(6 * 1024 * 1024)).await;
    let id = published.deployment_object.id;
    assert_eq!(reads(id, &broker, &admin).await, 2);
    assert_eq!(reads(id, &broker, &admin).await, 1);
    broker.stop().await;
}
