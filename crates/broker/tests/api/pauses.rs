//! What is paused is told to no agent as something to do, of whatever version, and stays desired.

use std::time::Duration;

use brokkr_client::{Client, Poll};
use brokkr_core::wire::{
    Code, Confirmation, ConfirmationResult, PAUSE, PatchAgent, PatchSettings, PatchStack,
    PatchStackOptions, Paused, StackStatus, Sync, TargetState,
};
use serde_json::json;

use crate::harness::*;

on_both_engines!(
    each_pause_holds_what_it_covers_and_its_end_brings_it_back,
    what_is_paused_is_not_removed,
    a_pause_is_shown_audited_and_no_loss,
    a_pause_wakes_a_waiting_poll,
);

/// What is paused.
#[derive(Clone, Copy, Debug)]
enum What {
    Stack,
    Agent,
    Fleet,
}

const ALL: [What; 3] = [What::Stack, What::Agent, What::Fleet];

async fn pause(admin: &Client, what: What, paused: bool) {
    match what {
        What::Stack => {
            let patch = PatchStack {
                options: PatchStackOptions {
                    paused: Some(paused),
                    ..PatchStackOptions::default()
                },
                ..PatchStack::default()
            };
            let stack = admin.patch_stack(&name("shop"), &patch).await;
            assert_eq!(stack.expect("a stack").options.paused, paused);
        }
        What::Agent => {
            let patch = PatchAgent {
                paused: Some(paused),
                ..PatchAgent::default()
            };
            let agent = admin.patch_agent(&name("edge"), &patch).await;
            assert_eq!(agent.expect("an agent").paused, paused);
        }
        What::Fleet => {
            let patch: PatchSettings =
                serde_json::from_value(json!({"paused": paused.then_some(true)})).expect("one");
            let settings = admin.settings().await.expect("settings");
            let settings = admin.patch_seen_settings(&settings, &patch).await;
            assert_eq!(settings.expect("settings").paused, paused);
        }
    }
}

/// The stacks that an agent is told to run, and whether it is told to leave each as it is.
fn told(state: &TargetState) -> Vec<(&str, bool)> {
    let entries = state.stacks.iter();
    let mut told: Vec<_> = entries
        .map(|entry| (entry.name.as_str(), entry.requires == [PAUSE]))
        .collect();
    told.sort_unstable();
    told
}

async fn two_stacks(admin: &Client) {
    for stack in ["mail", "shop"] {
        create_stack(admin, stack).await;
        publish(admin, stack, config_map("a", "1")).await;
        target(admin, "edge", stack).await;
    }
}

async fn each_pause_holds_what_it_covers_and_its_end_brings_it_back(engine: Engine) {
    let database = Database::create(engine).await;
    let mut broker = database.start().await;
    let mut admin = broker.client(&database.admin_key());
    let edge = create_agent(&admin, "edge").await;
    two_stacks(&admin).await;
    let mut before = state_of(&broker.client(&edge)).await;
    for what in ALL {
        pause(&admin, what, true).await;
        let state = state_of(&broker.client(&edge)).await;
        let is_whole = !matches!(what, What::Stack);
        assert_eq!(told(&state), [("mail", is_whole), ("shop", true)]);
        assert_eq!(state.agent.paused, matches!(what, What::Agent));
        assert_eq!(state.agent.fleet_paused, matches!(what, What::Fleet));
        assert!(state.revision > before.revision, "{what:?}");
        // A broker that was started anew says the same.
        broker.stop().await;
        broker = database.start().await;
        admin = broker.client(&database.admin_key());
        let same = state_of(&broker.client(&edge)).await;
        assert_eq!((same.stacks, same.agent), (state.stacks, state.agent));
        assert_eq!(same.revision, state.revision);
        pause(&admin, what, false).await;
        let after = state_of(&broker.client(&edge)).await;
        assert_eq!(told(&after), [("mail", false), ("shop", false)]);
        assert!(after.revision > state.revision, "{what:?}");
        before = after;
    }
}

async fn what_is_paused_is_not_removed(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    for what in ALL {
        if matches!(what, What::Stack) {
            create_stack(&admin, "shop").await;
            publish(&admin, "shop", config_map("a", "1")).await;
        }
        target(&admin, "edge", "shop").await;
        let targets = admin.agent_targets(None, None).await.expect("targets");
        let ended = admin.delete_agent_target(targets[0].id, None, &[]).await;
        ended.expect("an end");
        let removal = state_of(&agent).await.removals[0].clone();
        let revision = state_of(&agent).await.revision;
        pause(&admin, what, true).await;
        let state = state_of(&agent).await;
        assert!(state.removals.is_empty() && state.stacks.is_empty());
        assert!(state.revision > revision, "{what:?}");
        let status = &admin.stack_status(&name("shop")).await.expect("statuses")[0];
        assert!(status.sync == Sync::Removing && status.paused.is_paused());
        pause(&admin, what, false).await;
        assert_eq!(state_of(&agent).await.removals[0], removal);
        // What the agent had finished when it heard of the pause is finished.
        pause(&admin, what, true).await;
        let confirmation = Confirmation {
            stack: removal.stack,
            revision: removal.revision,
        };
        let answer = agent.confirm_removals(vec![confirmation]).await;
        let answer = answer.expect("an answer").removals[0].result;
        assert_eq!(answer, ConfirmationResult::Closed);
        pause(&admin, what, false).await;
    }
    // Nobody could resume what is deleted.
    pause(&admin, What::Stack, true).await;
    let refused = admin.delete_stack(&name("shop"), None, &[]).await;
    let refused = refused.expect_err("it is paused");
    assert_eq!(refused.code(), Some(Code::InUse));
    assert!(
        refused.to_string().contains("`brokkr stack resume shop`"),
        "{refused}"
    );
    broker.stop().await;
}

async fn a_pause_is_shown_audited_and_no_loss(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    two_stacks(&admin).await;
    let expected = [
        (What::Stack, "stack_change", "/after/options/paused"),
        (What::Agent, "agent_change", "/after/paused"),
        (What::Fleet, "settings_change", "/after/paused"),
    ];
    for (what, action, at) in expected {
        pause(&admin, what, true).await;
        let newest = &admin.newest_audit(&[]).await.expect("an audit")[0].entry;
        assert_eq!(newest.action.to_string(), action);
        let entry = json!({"after": newest.after});
        assert_eq!(entry.pointer(at), Some(&json!(true)), "{entry}");
        assert_eq!((newest.reached, newest.left), (0, 0));
    }
    let all = Paused {
        stack: true,
        agent: true,
        fleet: true,
    };
    let shop = admin.stack(&name("shop")).await.expect("a stack");
    assert!(state_of(&agent).await.agent.is_paused());
    // What is published meanwhile is desired, and waits.
    publish(&admin, "shop", config_map("a", "2")).await;
    let report = |seen| StackStatus {
        stack: shop.id,
        seen: Some(seen),
        applied: Some(1),
        sync: Sync::Held,
        health: brokkr_core::wire::Health::Current,
        reason: Some("paused".to_owned()),
        held: None,
    };
    for (seen, sync) in [(1, Sync::Pending), (2, Sync::Held)] {
        let told = agent.report_status(vec![report(seen)]).await;
        told.expect("a report");
        let status = &admin.stack_status(&name("shop")).await.expect("statuses")[0];
        assert_eq!((status.desired, status.applied), (Some(2), Some(1)));
        assert_eq!((status.sync, status.paused), (sync, all));
    }
    let mail = &admin.stack_status(&name("mail")).await.expect("statuses")[0];
    assert!(!mail.paused.stack && mail.paused.agent && mail.paused.fleet);
    broker.stop().await;
}

async fn a_pause_wakes_a_waiting_poll(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    two_stacks(&admin).await;
    for what in ALL {
        for paused in [true, false] {
            let poll = agent.target_state(None, Duration::ZERO, Duration::ZERO);
            let Poll::Changed { etag, .. } = poll.await.expect("a state") else {
                panic!("a first poll has an answer");
            };
            let wait = Duration::from_secs(30);
            let waiting = agent.target_state(Some(&etag), wait, wait);
            let (answer, ()) = tokio::join!(waiting, pause(&admin, what, paused));
            let Poll::Changed { state, .. } = answer.expect("a state") else {
                panic!("the poll was not woken: {what:?}");
            };
            let is_held = |(_, held): &(&str, bool)| *held;
            assert_eq!(told(&state).iter().any(is_held), paused, "{what:?}");
        }
    }
    broker.stop().await;
}
