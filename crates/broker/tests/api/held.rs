//! Losses that agents hold: shown, approved, refused, and forgotten when they are over.

use brokkr_client::Client;
use brokkr_core::ObjectKey;
use brokkr_core::wire::{
    Code, Health, HeldLoss, LossCause, OnRemove, Removal, StackStatus, Sync, TargetState,
};

use crate::harness::*;

on_both_engines!(
    a_held_loss_is_shown_and_approved,
    a_refused_loss_is_released,
    a_removal_is_approved_or_refused,
    only_the_loss_that_was_seen_is_decided_about,
    what_is_over_is_neither_shown_nor_decided,
    a_generator_decides_about_its_own,
    a_large_loss_is_told_whole_and_shown_in_part,
);

fn key(name: &str) -> ObjectKey {
    ObjectKey {
        group: String::new(),
        kind: "ConfigMap".to_owned(),
        namespace: Some("shop".to_owned()),
        name: name.to_owned(),
    }
}

fn keys(names: &[&str]) -> Vec<ObjectKey> {
    names.iter().map(|name| key(name)).collect()
}

fn placed(name: &str) -> String {
    config_map(name, "1").replace("{name: ", "{namespace: shop, name: ")
}

/// A stack at `edge` whose newest snapshot, of sequence 2, has one object of three.
async fn shrunk(admin: &Client) {
    create_stack(admin, "shop").await;
    target(admin, "edge", "shop").await;
    let all = ["a", "b", "c"].map(placed).join("---\n");
    publish(admin, "shop", all).await;
    publish(admin, "shop", placed("a")).await;
}

async fn hold(agent: &Client, state: &TargetState, cause: LossCause, objects: Vec<ObjectKey>) {
    let running = state.stacks.iter().map(|entry| entry.stack);
    let mut stacks = running.chain(state.removals.iter().map(|removal| removal.stack));
    let status = StackStatus {
        stack: stacks.next().expect("a stack"),
        seen: state.stacks.first().map(|entry| entry.sequence),
        applied: Some(1),
        sync: Sync::Held,
        health: Health::Current,
        reason: Some("too much would go".to_owned()),
        held: Some(HeldLoss {
            cause,
            objects,
            owned: 3,
        }),
    };
    agent.report_status(vec![status]).await.expect("heard");
}

async fn only_loss(client: &Client) -> Removal {
    let mut losses = client.removals(None, None).await.expect("losses");
    assert_eq!(losses.len(), 1, "{losses:?}");
    losses.remove(0)
}

async fn a_held_loss_is_shown_and_approved(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    shrunk(&admin).await;
    let before = state_of(&agent).await;
    hold(&agent, &before, LossCause::Snapshot(2), keys(&["b", "c"])).await;
    let loss = only_loss(&admin).await;
    let held = loss.held.as_ref().expect("held");
    assert_eq!(
        (held.cause, held.count, held.owned),
        (LossCause::Snapshot(2), 2, 3)
    );
    assert_eq!((&held.first, loss.revision), (&keys(&["b", "c"]), None));
    let status = admin.stack_status(&name("shop")).await.expect("a status");
    assert_eq!(
        (status[0].sync, status[0].held.as_ref()),
        (Sync::Held, Some(held))
    );
    admin
        .approve_removal(loss.id, None)
        .await
        .expect("approved");
    let state = state_of(&agent).await;
    assert_eq!(state.stacks[0].approved_losses, keys(&["b", "c"]));
    assert!(state.stacks[0].released.is_empty());
    assert!(state.revision > before.revision);
    assert!(admin.removals(None, None).await.expect("losses").is_empty());
    let audit = admin.newest_audit(&[]).await.expect("an audit");
    assert_eq!(audit[0].entry.action.to_string(), "removal_approve");
    // Nothing is held any more.
    let refused = admin
        .approve_removal(loss.id, None)
        .await
        .expect_err("nothing");
    assert_eq!(refused.code(), Some(Code::NothingHeld));
    // A restarted broker says the same, and what is there again may go only when somebody says so again.
    publish(&admin, "shop", ["a", "b"].map(placed).join("---\n")).await;
    assert_eq!(
        state_of(&agent).await.stacks[0].approved_losses,
        keys(&["c"])
    );
    broker.stop().await;
}

async fn a_refused_loss_is_released(engine: Engine) {
    let database = Database::create(engine).await;
    let broker = database.start().await;
    let admin = broker.client(&database.admin_key());
    let edge = create_agent(&admin, "edge").await;
    let agent = broker.client(&edge);
    shrunk(&admin).await;
    let state = state_of(&agent).await;
    hold(&agent, &state, LossCause::Snapshot(2), keys(&["b", "c"])).await;
    admin
        .refuse_removal(only_loss(&admin).await.id, None)
        .await
        .expect("refused");
    let told = state_of(&agent).await;
    assert_eq!(told.stacks[0].released, keys(&["b", "c"]));
    assert!(told.stacks[0].approved_losses.is_empty());
    broker.stop().await;
    // It is read again at a start.
    let broker = database.start().await;
    let (admin, agent) = (broker.client(&database.admin_key()), broker.client(&edge));
    assert_eq!(state_of(&agent).await.stacks, told.stacks);
    // It ends with the target.
    for target in admin.agent_targets(None, None).await.expect("targets") {
        admin
            .delete_agent_target(target.id, None, &[])
            .await
            .expect("ended");
    }
    target(&admin, "edge", "shop").await;
    assert!(state_of(&agent).await.stacks[0].released.is_empty());
    broker.stop().await;
}

async fn only_the_loss_that_was_seen_is_decided_about(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    shrunk(&admin).await;
    let state = state_of(&agent).await;
    let holds = async |names: &[&str]| {
        hold(&agent, &state, LossCause::Snapshot(2), keys(names)).await;
        only_loss(&admin).await
    };
    let one = holds(&["b"]).await;
    let seen = one.held.as_ref();
    assert_ne!(holds(&["c", "b"]).await.held.as_ref(), seen);
    for refused in [
        admin.approve_removal(one.id, seen).await,
        admin.refuse_removal(one.id, seen).await,
    ] {
        let refused = refused.expect_err("another loss");
        assert_eq!(refused.code(), Some(Code::LossChanged), "{refused}");
    }
    let both = only_loss(&admin).await;
    // The order in which an agent tells its objects makes no other loss.
    holds(&["b", "c"]).await;
    let approved = admin.approve_removal(both.id, both.held.as_ref()).await;
    approved.expect("as it was seen");
    let told = state_of(&agent).await;
    assert_eq!(told.stacks[0].approved_losses, keys(&["b", "c"]));
    // The same goes for what is held of a removal.
    let deleted = admin.delete_stack(&name("shop"), None, &[]).await;
    deleted.expect("deleted");
    let state = state_of(&agent).await;
    let cause = LossCause::Removal(state.removals[0].revision);
    hold(&agent, &state, cause, keys(&["a"])).await;
    let refused = admin.approve_removal(both.id, both.held.as_ref()).await;
    assert_eq!(
        refused.expect_err("another loss").code(),
        Some(Code::LossChanged)
    );
    let loss = only_loss(&admin).await;
    let seen = loss.held.as_ref();
    let approved = admin.approve_removal(loss.id, seen).await;
    approved.expect("as it was seen");
    // Whoever did not hear of it repeats it, when the agent may hold nothing any more.
    let state = state_of(&agent).await;
    hold(&agent, &state, cause, keys(&["other"])).await;
    let again = admin.approve_removal(loss.id, seen).await;
    again.expect("it was approved");
    broker.stop().await;
}

async fn a_removal_is_approved_or_refused(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    shrunk(&admin).await;
    admin
        .delete_stack(&name("shop"), None, &[])
        .await
        .expect("deleted");
    let before = state_of(&agent).await;
    let removal = before.removals[0].revision;
    hold(&agent, &before, LossCause::Removal(removal), keys(&["a"])).await;
    let loss = only_loss(&admin).await;
    assert_eq!(loss.held.expect("held").cause, LossCause::Removal(removal));
    admin
        .approve_removal(loss.id, None)
        .await
        .expect("approved");
    let state = state_of(&agent).await;
    let approval = state.removals[0].approved.as_ref().expect("approved");
    assert_eq!((approval.by.as_str(), approval.plan), ("admin", None));
    assert!(state.revision > before.revision && state.removals[0].revision == removal);
    assert_eq!(only_loss(&admin).await.approved.as_ref(), Some(approval));
    admin
        .approve_removal(loss.id, None)
        .await
        .expect("once more is no harm");
    assert_eq!(state_of(&agent).await, state);
    admin.refuse_removal(loss.id, None).await.expect("refused");
    let state = state_of(&agent).await;
    assert_eq!(state.removals[0].policy, OnRemove::Orphan);
    let refused = admin
        .approve_removal(loss.id, None)
        .await
        .expect_err("it stays");
    assert_eq!(refused.code(), Some(Code::NothingHeld));
    broker.stop().await;
}

async fn what_is_over_is_neither_shown_nor_decided(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    shrunk(&admin).await;
    let state = state_of(&agent).await;
    let target = admin.agent_targets(None, None).await.expect("targets")[0].id;
    let refused = admin
        .refuse_removal(target, None)
        .await
        .expect_err("nothing is held");
    assert_eq!(refused.code(), Some(Code::NothingHeld));
    hold(&agent, &state, LossCause::Snapshot(1), keys(&["b"])).await;
    assert!(admin.removals(None, None).await.expect("losses").is_empty());
    hold(&agent, &state, LossCause::Snapshot(2), keys(&["b"])).await;
    only_loss(&admin).await;
    publish(&admin, "shop", placed("d")).await;
    assert!(admin.removals(None, None).await.expect("losses").is_empty());
    let status = admin.stack_status(&name("shop")).await.expect("a status");
    assert_eq!(status[0].held, None);
    let refused = admin
        .approve_removal(target, None)
        .await
        .expect_err("another snapshot");
    assert_eq!(refused.code(), Some(Code::NothingHeld));
    broker.stop().await;
}

async fn a_generator_decides_about_its_own(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    let ci = broker.client(&create_generator(&admin, "ci").await);
    let other = broker.client(&create_generator(&admin, "other").await);
    shrunk(&ci).await;
    let state = state_of(&agent).await;
    hold(&agent, &state, LossCause::Snapshot(2), keys(&["b", "c"])).await;
    let loss = only_loss(&ci).await;
    assert!(other.removals(None, None).await.expect("losses").is_empty());
    assert!(
        other
            .approve_removal(loss.id, None)
            .await
            .expect_err("foreign")
            .is_not_found()
    );
    assert!(agent.approve_removal(loss.id, None).await.is_err());
    ci.approve_removal(loss.id, None).await.expect("approved");
    assert_eq!(state_of(&agent).await.stacks[0].approved_losses.len(), 2);
    let audit = admin.newest_audit(&[]).await.expect("an audit");
    assert_eq!(audit[0].entry.actor.role.to_string(), "generator");
    broker.stop().await;
}

async fn a_large_loss_is_told_whole_and_shown_in_part(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    shrunk(&admin).await;
    let state = state_of(&agent).await;
    // As large as one can be.
    let long = "n".repeat(240);
    let many: Vec<_> = (0..5_000).map(|n| key(&format!("{long}-{n}"))).collect();
    hold(&agent, &state, LossCause::Snapshot(2), many.clone()).await;
    let loss = only_loss(&admin).await;
    let held = loss.held.expect("held");
    assert_eq!((held.count, held.first.len()), (5_000, 50));
    admin
        .approve_removal(loss.id, None)
        .await
        .expect("approved");
    assert_eq!(state_of(&agent).await.stacks[0].approved_losses, many);
    broker.stop().await;
}
