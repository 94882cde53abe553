//! The fleet at a glance, and the stacks of one agent.

use brokkr_client::Client;
use brokkr_core::StackId;
use brokkr_core::wire::{Health, PatchAgent, StackCounts, StackStatus, Sync};

use crate::harness::*;

on_both_engines!(
    each_agent_tells_how_many_of_its_stacks_are_how,
    a_generator_counts_its_own_stacks_in_its_own_scope,
    a_glance_has_every_agent_once,
);

fn told(stack: StackId, sync: Sync, health: Health) -> StackStatus {
    StackStatus {
        stack,
        seen: Some(1),
        applied: Some(1),
        sync,
        health,
        reason: None,
        held: None,
    }
}

async fn stack_at(owner: &Client, agent: &str, stack: &str) -> StackId {
    create_stack(owner, stack).await;
    let id = owner.stack(&name(stack)).await.expect("a stack").id;
    publish(owner, stack, config_map("a", "1")).await;
    target(owner, agent, stack).await;
    id
}

async fn each_agent_tells_how_many_of_its_stacks_are_how(engine: Engine) {
    let scene = Scene::set(engine).await;
    let Scene { admin, agent, .. } = &scene;
    let mut stacks = Vec::new();
    for stack in ["one", "two", "three", "four"] {
        stacks.push(stack_at(admin, "edge", stack).await);
    }
    let glance = async || admin.glance(&name("edge")).await.expect("a glance");
    let before = glance().await;
    assert!(before.silent);
    assert_eq!(before.stacks.pending, 4);
    state_of(agent).await;
    let report = vec![
        told(stacks[0], Sync::Failed, Health::Current),
        told(stacks[1], Sync::Synced, Health::Degraded),
        told(stacks[2], Sync::Synced, Health::Progressing),
    ];
    agent.report_status(report).await.expect("reported");
    let expected = StackCounts {
        pending: 1,
        synced: 2,
        failed: 1,
        degraded: 1,
        progressing: 1,
        ..StackCounts::default()
    };
    let after = glance().await;
    assert!(!after.silent);
    assert_eq!(after.stacks, expected);
    assert_eq!(admin.fleet().await.expect("a fleet"), [after]);
    // What is newer than what was said of it is not begun.
    publish(admin, "two", config_map("a", "2")).await;
    assert_eq!(glance().await.stacks.pending, 2);
    let mut status = admin.agent_status(&name("edge")).await.expect("statuses");
    status.sort_by(|a, b| a.stack_name.cmp(&b.stack_name));
    let said: Vec<_> = status
        .iter()
        .map(|at| (at.stack_name.as_str(), at.status.sync, at.status.health))
        .collect();
    assert_eq!(
        said,
        [
            ("four", Sync::Pending, Health::Unknown),
            ("one", Sync::Failed, Health::Current),
            ("three", Sync::Synced, Health::Progressing),
            ("two", Sync::Pending, Health::Degraded),
        ]
    );
    assert!(status.iter().all(|at| at.direct && at.rule.is_none()));
    let reported = status.iter().filter(|at| at.reported_at.is_some());
    assert_eq!(reported.count(), 3);
    let paused: PatchAgent =
        serde_json::from_value(serde_json::json!({"paused": true})).expect("a patch");
    admin
        .patch_agent(&name("edge"), &paused)
        .await
        .expect("paused");
    assert!(glance().await.paused);
    scene.broker.stop().await;
}

async fn a_generator_counts_its_own_stacks_in_its_own_scope(engine: Engine) {
    let scene = Scene::set(engine).await;
    let Scene { admin, broker, .. } = &scene;
    labelled_agent(admin, "mine", "env=test").await;
    labelled_agent(admin, "other", "env=prod").await;
    let generator = broker.client(&scoped_generator(admin, "ci", "env=test").await);
    stack_at(admin, "mine", "of-the-operators").await;
    stack_at(&generator, "mine", "of-ci").await;
    let fleet = generator.fleet().await.expect("a fleet");
    let seen: Vec<_> = fleet
        .iter()
        .map(|glance| (glance.name.as_str(), glance.stacks.pending))
        .collect();
    assert_eq!(seen, [("mine", 1)]);
    let stacks = generator.agent_status(&name("mine")).await.expect("stacks");
    assert_eq!(stacks.len(), 1);
    assert_eq!(
        stacks[0].generator.as_ref().map(brokkr_core::Name::as_str),
        Some("ci")
    );
    for hidden in ["other", "nobody"] {
        assert!(generator.glance(&name(hidden)).await.is_err());
        assert!(generator.agent_status(&name(hidden)).await.is_err());
    }
    let of_all = admin.glance(&name("mine")).await.expect("a glance");
    assert_eq!(of_all.stacks.pending, 2);
    scene.broker.stop().await;
}

async fn a_glance_has_every_agent_once(engine: Engine) {
    let scene = Scene::set(engine).await;
    let Scene { admin, broker, .. } = &scene;
    for number in 0..150 {
        let labels = if number % 2 == 0 {
            "env=test"
        } else {
            "env=prod"
        };
        labelled_agent(admin, &format!("agent-{number}"), labels).await;
    }
    let stack = stack_at(admin, "agent-140", "shop").await;
    let generator = broker.client(&scoped_generator(admin, "ci", "env=test").await);
    for (client, agents) in [(admin, 151), (&generator, 75)] {
        let fleet = client.fleet().await.expect("a fleet");
        let mut names: Vec<_> = fleet.iter().map(|glance| glance.name.to_string()).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), agents);
        assert_eq!(fleet.len(), agents);
    }
    let of_all = admin.fleet().await.expect("a fleet");
    let with: Vec<_> = of_all
        .iter()
        .filter(|glance| glance.stacks != StackCounts::default())
        .map(|glance| glance.name.as_str())
        .collect();
    assert_eq!(with, ["agent-140"], "{stack} is there and nowhere else");
    scene.broker.stop().await;
}
