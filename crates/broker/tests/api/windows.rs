//! Maintenance windows reach the agents that they cover, with what is to wait kept from agents that know none.

use std::time::Duration;

use brokkr_client::{Client, Poll};
use brokkr_core::targeting::AgentScope;
use brokkr_core::wire::{
    Code, CreateStack, CreateWindow, PatchAgent, PatchStack, PatchStackOptions, TargetRemoval,
    TargetState, WINDOWS, WindowMinutes, WindowRule,
};
use serde_json::json;

use crate::harness::*;

on_both_engines!(
    a_window_reaches_the_agents_that_it_covers_while_it_does,
    removals_are_told_apart_while_windows_are,
    a_stack_that_ignores_windows_waits_for_none,
    what_is_no_window_is_refused,
    a_window_wakes_whom_it_covers_and_nobody_else,
);

fn window(name: &str) -> CreateWindow {
    CreateWindow {
        name: name.parse().expect("a name"),
        agent: None,
        scope: Some(AgentScope::AllAgents),
        rule: WindowRule::Deny,
        cron: "0 2 * * *".to_owned(),
        minutes: WindowMinutes::new(120).expect("minutes"),
        zone: "Europe/Berlin".to_owned(),
    }
}

fn scope(selector: &str) -> Option<AgentScope> {
    let scope = json!({"labels": selector});
    serde_json::from_value(scope).expect("a scope")
}

fn told(state: &TargetState) -> Vec<&str> {
    let windows = state.agent.windows.iter();
    windows.map(|window| window.name.as_str()).collect()
}

async fn a_window_reaches_the_agents_that_it_covers_while_it_does(engine: Engine) {
    let database = Database::create(engine).await;
    let mut broker = database.start().await;
    let mut admin = broker.client(&database.admin_key());
    let edge = labelled_agent(&admin, "edge", "env=prod").await;
    let lab = labelled_agent(&admin, "lab", "env=dev").await;
    let states = async |broker: &TestBroker| {
        let [edge, lab] = [&edge, &lab].map(|key| broker.client(key));
        (state_of(&edge).await, state_of(&lab).await)
    };
    create_stack(&admin, "shop").await;
    publish(&admin, "shop", config_map("a", "1")).await;
    target(&admin, "edge", "shop").await;
    let before = states(&broker).await;
    assert!(told(&before.0).is_empty() && before.0.stacks[0].requires.is_empty());

    for create in [
        CreateWindow {
            scope: scope("env=prod"),
            ..window("prod")
        },
        CreateWindow {
            scope: None,
            agent: Some(name("lab")),
            rule: WindowRule::Allow,
            ..window("lab")
        },
    ] {
        admin.create_window(&create).await.expect("a window");
    }
    let after = states(&broker).await;
    assert_eq!(
        (told(&after.0), told(&after.1)),
        (vec!["prod"], vec!["lab"])
    );
    assert!(after.0.revision > before.0.revision);
    assert_eq!(after.0.stacks[0].requires, [WINDOWS]);
    let said = &after.1.agent.windows[0];
    assert_eq!((said.rule, said.minutes), (WindowRule::Allow, 120));
    assert_eq!(
        (said.cron.as_str(), said.zone.as_str()),
        ("0 2 * * *", "Europe/Berlin")
    );

    // A label moves an agent between them, and a broker that was started anew says the same.
    let patch: PatchAgent =
        serde_json::from_value(json!({"labels": {"env": "prod"}})).expect("one");
    admin
        .patch_agent(&name("lab"), &patch)
        .await
        .expect("an agent");
    let moved = states(&broker).await;
    assert_eq!(told(&moved.1), ["prod", "lab"]);
    assert!(moved.1.revision > after.1.revision);
    broker.stop().await;
    broker = database.start().await;
    admin = broker.client(&database.admin_key());
    let again = states(&broker).await;
    assert_eq!(
        (&again.0.agent, &again.1.agent),
        (&moved.0.agent, &moved.1.agent)
    );
    assert_eq!(
        (again.0.revision, again.1.revision),
        (moved.0.revision, moved.1.revision)
    );

    for window in admin.windows().await.expect("windows") {
        let id = name(&window.id.to_string());
        admin.delete_window(&id).await.expect("a deletion");
        let newest = &admin.newest_audit(&[]).await.expect("an audit")[0].entry;
        assert_eq!(newest.action.to_string(), "window_delete");
    }
    let gone = states(&broker).await;
    assert!(told(&gone.0).is_empty() && told(&gone.1).is_empty());
    assert!(gone.0.revision > again.0.revision && gone.0.stacks[0].requires.is_empty());
    // Its name is free again.
    admin
        .create_window(&window("prod"))
        .await
        .expect("a window");
    broker.stop().await;
}

async fn removals_are_told_apart_while_windows_are(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    create_stack(&admin, "shop").await;
    publish(&admin, "shop", config_map("a", "1")).await;
    target(&admin, "edge", "shop").await;
    admin.create_window(&window("nightly")).await.expect("one");
    let targets = admin.agent_targets(None, None).await.expect("targets");
    let ended = admin.delete_agent_target(targets[0].id, None, &[]).await;
    ended.expect("an end");
    let state = state_of(&agent).await;
    assert!(state.removals.is_empty() && state.conditional_removals.len() == 1);
    admin.delete_window(&name("nightly")).await.expect("none");
    let after = state_of(&agent).await;
    assert_eq!(state.conditional_removals[0].requires, [WINDOWS]);
    let plain = TargetRemoval {
        requires: Vec::new(),
        ..state.conditional_removals[0].clone()
    };
    assert_eq!(after.removals, [plain]);
    assert!(after.conditional_removals.is_empty());
    broker.stop().await;
}

async fn a_stack_that_ignores_windows_waits_for_none(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    let ci = broker.client(&create_generator(&admin, "ci").await);
    create_stack(&ci, "shop").await;
    publish(&ci, "shop", config_map("a", "1")).await;
    target(&admin, "edge", "ci:shop").await;
    admin.create_window(&window("nightly")).await.expect("one");
    let ignoring = |ignore_windows| PatchStack {
        options: PatchStackOptions {
            ignore_windows: Some(ignore_windows),
            ..PatchStackOptions::default()
        },
        ..PatchStack::default()
    };
    // Who publishes does not decide about it, not even in the beginning.
    let refused = ci.patch_stack(&name("shop"), &ignoring(true)).await;
    assert_eq!(
        refused.expect_err("not theirs").code(),
        Some(Code::Forbidden)
    );
    let mut create = CreateStack::named("mail".parse().expect("a name"));
    create.options.ignore_windows = true;
    let refused = ci.create_stack(&create).await;
    assert_eq!(
        refused.expect_err("not theirs").code(),
        Some(Code::Forbidden)
    );
    let patched = admin.patch_stack(&name("ci:shop"), &ignoring(true)).await;
    assert!(patched.expect("a stack").options.ignore_windows);
    let entry = state_of(&agent).await.stacks[0].clone();
    assert!(entry.ignores_windows && entry.requires.is_empty());
    let refused = ci.patch_stack(&name("shop"), &ignoring(false)).await;
    assert_eq!(
        refused.expect_err("not theirs").code(),
        Some(Code::Forbidden)
    );
    admin
        .patch_stack(&name("ci:shop"), &ignoring(false))
        .await
        .expect("a stack");
    assert_eq!(state_of(&agent).await.stacks[0].requires, [WINDOWS]);
    broker.stop().await;
}

async fn what_is_no_window_is_refused(engine: Engine) {
    let Scene { broker, admin, .. } = Scene::set(engine).await;
    let change = |change: fn(&mut CreateWindow)| {
        let mut create = window("nightly");
        change(&mut create);
        create
    };
    let wrong = [
        (
            change(|w| w.cron = String::from("61 * * * *")),
            "/cron",
            "cron expression",
        ),
        (
            change(|w| w.cron = String::from("0 0 30 2 *")),
            "/cron",
            "never",
        ),
        (
            change(|w| w.cron = "* ".repeat(60)),
            "/cron",
            "cron expression",
        ),
        (
            change(|w| w.zone = String::from("Mars/Olympus")),
            "/zone",
            "time zone",
        ),
        (change(|w| w.scope = None), "/scope", "either"),
        (change(|w| w.agent = Some(name("edge"))), "/scope", "either"),
    ];
    for (create, pointer, words) in wrong {
        let refused = admin.create_window(&create).await.expect_err("no window");
        assert_eq!(refused.code(), Some(Code::Invalid), "{create:?}");
        let brokkr_client::Error::Refused(problem) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(problem.pointer.as_deref(), Some(pointer), "{problem:?}");
        assert!(problem.detail.contains(words), "{problem:?}");
    }
    let strange = change(|w| {
        w.scope = None;
        w.agent = Some(name("nobody"));
    });
    let refused = admin.create_window(&strange).await.expect_err("nobody");
    assert!(refused.is_not_found(), "{refused}");
    for number in 0..100 {
        let create = window(&format!("w{number}"));
        admin.create_window(&create).await.expect("a window");
    }
    let refused = admin.create_window(&window("w0")).await.expect_err("taken");
    assert_eq!(refused.code(), Some(Code::InUse));
    admin.delete_window(&name("w99")).await.expect("none");
    let refused = admin.create_window(&window("w0")).await.expect_err("taken");
    assert_eq!(refused.code(), Some(Code::NameTaken));
    broker.stop().await;
}

async fn a_window_wakes_whom_it_covers_and_nobody_else(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    let other = broker.client(&labelled_agent(&admin, "other", "env=dev").await);
    let etag = async |agent: &Client| match agent
        .target_state(None, Duration::ZERO, Duration::ZERO)
        .await
    {
        Ok(Poll::Changed { etag, .. }) => etag,
        other => panic!("a first poll has an answer: {other:?}"),
    };
    let (covered, not_covered) = (etag(&agent).await, etag(&other).await);
    let wait = Duration::from_secs(30);
    let waiting = agent.target_state(Some(&covered), wait, wait);
    let create = CreateWindow {
        scope: None,
        agent: Some(name("edge")),
        ..window("nightly")
    };
    let (answer, created) = tokio::join!(waiting, admin.create_window(&create));
    created.expect("a window");
    let Poll::Changed { state, .. } = answer.expect("a state") else {
        panic!("the poll was not woken");
    };
    assert_eq!(told(&state), ["nightly"]);
    let same = other.target_state(Some(&not_covered), Duration::ZERO, Duration::ZERO);
    assert!(matches!(same.await.expect("an answer"), Poll::Unchanged));
    broker.stop().await;
}
