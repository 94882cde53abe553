//! A deleted stack comes back as it was.

use brokkr_client::{Client, EventFilter};
use brokkr_core::wire::{Code, Confirmation, CreateStack, Stack};
use serde_json::json;

use crate::harness::*;

on_both_engines!(
    a_stack_comes_back_with_all_that_it_had,
    only_what_the_deletion_took_comes_back,
    what_cannot_come_back_says_why,
    the_events_of_a_deleted_stack_are_found_by_its_name,
);

async fn deleted(client: &Client) -> Stack {
    let mut deleted = client.deleted_stacks().await.expect("stacks");
    assert_eq!(deleted.len(), 1, "{deleted:?}");
    deleted.remove(0)
}

async fn a_stack_comes_back_with_all_that_it_had(engine: Engine) {
    let Scene { broker, admin, .. } = Scene::set(engine).await;
    let north = broker.client(&labelled_agent(&admin, "north", "env=prod").await);
    let create = CreateStack {
        labels: labels_of("tier=a"),
        targeting: serde_json::from_value(json!({"rules": [{"labels": "env=prod"}]}))
            .expect("targeting"),
        ..CreateStack::named("shop".parse().expect("a name"))
    };
    admin.create_stack(&create).await.expect("a stack");
    publish(&admin, "shop", config_map("a", "1")).await;
    publish(&admin, "shop", config_map("a", "2")).await;
    let before = admin.stack(&name("shop")).await.expect("a stack");
    let ran = state_of(&north).await;
    admin
        .delete_stack(&name("shop"), None, &[])
        .await
        .expect("deleted");
    let removal = state_of(&north).await.removals.remove(0);
    let gone = deleted(&admin).await;
    assert!(gone.id == before.id && gone.deleted_at.is_some());
    let back = admin.undelete_stack(gone.id).await.expect("back");
    assert_eq!(
        Stack {
            revision: before.revision,
            ..back.clone()
        },
        before
    );
    assert!(back.revision > before.revision);
    assert_eq!(
        admin.history(&name("shop")).await.expect("a history").len(),
        2
    );
    let state = state_of(&north).await;
    assert_eq!((&state.stacks, state.removals.len()), (&ran.stacks, 0));
    // The agent's confirmation comes too late.
    let late = Confirmation {
        stack: removal.stack,
        revision: removal.revision,
    };
    north.confirm_removals(vec![late]).await.expect("answers");
    assert_eq!(state_of(&north).await.stacks, ran.stacks);
    // Later agents are found by its rules, and once more changes nothing.
    let south = broker.client(&labelled_agent(&admin, "south", "env=prod").await);
    assert_eq!(state_of(&south).await.stacks.len(), 1);
    assert_eq!(
        admin.undelete_stack(gone.id).await.expect("there").revision,
        back.revision
    );
    assert!(admin.deleted_stacks().await.expect("stacks").is_empty());
    let audit = admin
        .audit(&[("subject", gone.id.to_string())])
        .await
        .expect("an audit");
    let undeletes = audit
        .iter()
        .filter(|one| one.entry.action.to_string() == "stack_undelete");
    assert_eq!(undeletes.count(), 1);
    broker.stop().await;
}

async fn only_what_the_deletion_took_comes_back(engine: Engine) {
    let Scene { broker, admin, .. } = Scene::set(engine).await;
    create_stack(&admin, "shop").await;
    publish(&admin, "shop", config_map("a", "1")).await;
    let mut agents = Vec::new();
    for agent in ["named", "confirmed", "before"] {
        agents.push(broker.client(&create_agent(&admin, agent).await));
        target(&admin, agent, "shop").await;
    }
    let before = admin
        .agent_targets(None, Some(&name("before")))
        .await
        .expect("targets");
    admin
        .delete_agent_target(before[0].id, None, &[])
        .await
        .expect("ended");
    admin
        .delete_stack(&name("shop"), None, &[])
        .await
        .expect("deleted");
    let removal = state_of(&agents[1]).await.removals.remove(0);
    let confirmation = Confirmation {
        stack: removal.stack,
        revision: removal.revision,
    };
    agents[1]
        .confirm_removals(vec![confirmation])
        .await
        .expect("confirmed");
    admin
        .undelete_stack(deleted(&admin).await.id)
        .await
        .expect("back");
    let mut told = Vec::new();
    for agent in &agents {
        let state = state_of(agent).await;
        told.push((state.stacks.len(), state.removals.len()));
    }
    // One that was taken away before the deletion still goes.
    assert_eq!(told, [(1, 0), (0, 0), (0, 1)]);
    broker.stop().await;
}

async fn what_cannot_come_back_says_why(engine: Engine) {
    let Scene { broker, admin, .. } = Scene::set(engine).await;
    let ci = broker.client(&create_generator(&admin, "ci").await);
    let other = broker.client(&create_generator(&admin, "other").await);
    create_stack(&ci, "shop").await;
    ci.delete_stack(&name("shop"), None, &[])
        .await
        .expect("deleted");
    let gone = deleted(&ci).await.id;
    assert!(
        other
            .undelete_stack(gone)
            .await
            .expect_err("foreign")
            .is_not_found()
    );
    assert!(other.deleted_stacks().await.expect("stacks").is_empty());
    create_stack(&ci, "shop").await;
    let taken = ci
        .undelete_stack(gone)
        .await
        .expect_err("its name is taken");
    assert_eq!(taken.code(), Some(Code::NameTaken));
    assert!(taken.to_string().contains("delete that one"), "{taken}");
    ci.delete_stack(&name("shop"), None, &[])
        .await
        .expect("deleted");
    let patch = serde_json::from_value(json!({"quota": {"stacks": 0}})).expect("a patch");
    admin
        .patch_generator(&name("ci"), &patch)
        .await
        .expect("patched");
    let full = ci.undelete_stack(gone).await.expect_err("over the quota");
    assert_eq!(full.code(), Some(Code::QuotaExceeded));
    // Without its owner it is nobody's.
    admin.delete_generator(&name("ci")).await.expect("deleted");
    assert!(
        admin
            .undelete_stack(gone)
            .await
            .expect_err("no owner")
            .is_not_found()
    );
    assert!(admin.deleted_stacks().await.expect("stacks").is_empty());
    broker.stop().await;
}

/// One stack of that name after the other, each with an event; the reasons of those that its name finds.
async fn the_events_of_a_deleted_stack_are_found_by_its_name(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    let key = create_generator(&admin, "ci").await;
    let (ci, other) = (
        broker.client(&key),
        broker.client(&create_generator(&admin, "other").await),
    );
    let found = async |client: &Client, stack: &str| {
        let filter = EventFilter {
            stack: Some(name(stack)),
            ..EventFilter::default()
        };
        let events = client.events(&filter, 100).await?;
        let reasons = events.into_iter().map(|found| found.event.reason);
        Ok::<Vec<_>, brokkr_client::Error>(reasons.flatten().collect())
    };
    for reason in ["first", "second"] {
        create_stack(&admin, "shop").await;
        target(&admin, "edge", "shop").await;
        let stack = admin.stack(&name("shop")).await.expect("a stack").id;
        agent
            .report_events(vec![failed_event(stack, reason)])
            .await
            .expect("reported");
        assert_eq!(found(&admin, "shop").await.expect("events"), [reason]);
        admin
            .delete_stack(&name("shop"), None, &[])
            .await
            .expect("deleted");
        assert_eq!(found(&admin, "shop").await.expect("events"), [reason]);
        assert_eq!(
            found(&admin, &stack.to_string()).await.expect("events"),
            [reason]
        );
    }
    create_stack(&admin, "shop").await;
    assert!(found(&admin, "shop").await.expect("events").is_empty());
    // A generator finds its own, by its own name for it, and nobody else's.
    create_stack(&ci, "late").await;
    ci.delete_stack(&name("late"), None, &[])
        .await
        .expect("deleted");
    assert!(found(&ci, "late").await.expect("events").is_empty());
    assert!(found(&admin, "ci:late").await.expect("events").is_empty());
    for (client, stack) in [
        (&other, "late"),
        (&other, "ci:late"),
        (&ci, "shop"),
        (&admin, "late"),
    ] {
        let refused = found(client, stack).await.expect_err("not theirs");
        assert!(refused.is_not_found(), "{stack}: {refused}");
    }
    broker.stop().await;
}
