use brokkr_client::Client;
use brokkr_core::wire::{Code, Confirmation, ConfirmationResult, OnRemove};

use crate::harness::*;

on_both_engines!(
    a_removal_stands_until_it_is_confirmed,
    a_new_target_withdraws_a_removal,
    a_deleted_stack_is_removed_everywhere,
    a_busy_agent_is_not_deleted,
    a_generator_sees_only_its_own,
);

async fn untarget(admin: &Client, stack: &str) {
    let targets = admin
        .agent_targets(Some(&name(stack)), None)
        .await
        .expect("targets");
    for target in targets {
        admin
            .delete_agent_target(target.id, None, &[])
            .await
            .expect("untargeted");
    }
}

async fn a_removal_stands_until_it_is_confirmed(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    create_stack(&admin, "shop").await;
    publish(&admin, "shop", config_map("a", "1")).await;
    target(&admin, "edge", "shop").await;
    assert_eq!(state_of(&agent).await.stacks.len(), 1);
    untarget(&admin, "shop").await;
    let state = state_of(&agent).await;
    assert!(state.stacks.is_empty());
    let [removal] = state.removals.as_slice() else {
        panic!("{state:?}")
    };
    assert_eq!(
        (removal.policy, removal.revision),
        (OnRemove::Delete, state.revision)
    );
    let confirm = |revision| Confirmation {
        stack: removal.stack,
        revision,
    };
    let answers = agent
        .confirm_removals(vec![
            confirm(removal.revision - 1),
            confirm(removal.revision),
        ])
        .await;
    let results: Vec<_> = answers
        .expect("answers")
        .removals
        .iter()
        .map(|answer| answer.result)
        .collect();
    assert_eq!(
        results,
        [ConfirmationResult::Superseded, ConfirmationResult::Closed]
    );
    assert!(state_of(&agent).await.removals.is_empty());
    assert!(
        admin
            .removals(None, None)
            .await
            .expect("removals")
            .is_empty()
    );
    broker.stop().await;
}

async fn a_new_target_withdraws_a_removal(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    create_stack(&admin, "shop").await;
    publish(&admin, "shop", config_map("a", "1")).await;
    target(&admin, "edge", "shop").await;
    untarget(&admin, "shop").await;
    let removal = state_of(&agent).await.removals.remove(0);
    target(&admin, "edge", "shop").await;
    let late = Confirmation {
        stack: removal.stack,
        revision: removal.revision,
    };
    let answers = agent.confirm_removals(vec![late]).await.expect("answers");
    assert_eq!(answers.removals[0].result, ConfirmationResult::Superseded);
    let state = state_of(&agent).await;
    assert_eq!((state.stacks.len(), state.removals.len()), (1, 0));
    assert!(state.revision > removal.revision);
    broker.stop().await;
}

async fn a_deleted_stack_is_removed_everywhere(engine: Engine) {
    let Scene { broker, admin, .. } = Scene::set(engine).await;
    create_stack(&admin, "shop").await;
    publish(&admin, "shop", config_map("a", "1")).await;
    let mut agents = Vec::new();
    for agent in ["north", "south"] {
        agents.push(broker.client(&create_agent(&admin, agent).await));
        target(&admin, agent, "shop").await;
    }
    admin
        .delete_stack(&name("shop"), Some(OnRemove::Orphan), &[])
        .await
        .expect("deleted");
    assert!(
        admin
            .stack(&name("shop"))
            .await
            .expect_err("gone")
            .is_not_found()
    );
    for agent in &agents {
        let state = state_of(agent).await;
        assert!(state.stacks.is_empty());
        assert_eq!(state.removals[0].policy, OnRemove::Orphan);
    }
    create_stack(&admin, "shop").await;
    assert!(
        admin
            .history(&name("shop"))
            .await
            .expect("a history")
            .is_empty(),
        "the name is free again"
    );
    broker.stop().await;
}

async fn a_busy_agent_is_not_deleted(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    create_stack(&admin, "shop").await;
    target(&admin, "edge", "shop").await;
    let refused = admin
        .delete_agent(&name("edge"))
        .await
        .expect_err("it runs a stack");
    assert_eq!(refused.code(), Some(Code::InUse));
    untarget(&admin, "shop").await;
    let refused = admin
        .delete_agent(&name("edge"))
        .await
        .expect_err("it has not confirmed");
    assert_eq!(refused.code(), Some(Code::InUse));
    let removal = state_of(&agent).await.removals.remove(0);
    let confirm = Confirmation {
        stack: removal.stack,
        revision: removal.revision,
    };
    agent
        .confirm_removals(vec![confirm])
        .await
        .expect("confirmed");
    admin.delete_agent(&name("edge")).await.expect("deleted");
    assert!(admin.agents().await.expect("agents").is_empty());
    broker.stop().await;
}

async fn a_generator_sees_only_its_own(engine: Engine) {
    let Scene { broker, admin, .. } = Scene::set(engine).await;
    let mut generators = Vec::new();
    for generator in ["ci", "cd"] {
        generators.push(broker.client(&create_generator(&admin, generator).await));
    }
    let [ci, cd] = generators.as_slice() else {
        panic!("two generators")
    };
    create_stack(ci, "shop").await;
    create_stack(cd, "shop").await;
    create_stack(&admin, "shop").await;
    assert_eq!(
        (
            ci.stacks().await.expect("own").len(),
            admin.stacks().await.expect("all").len()
        ),
        (1, 3)
    );
    let published = publish(ci, "shop", config_map("a", "1"))
        .await
        .deployment_object;
    assert_eq!(published.author, "ci");
    assert!(
        cd.deployment_object(published.id)
            .await
            .expect_err("foreign")
            .is_not_found()
    );
    assert!(
        cd.manifests(published.id)
            .await
            .expect_err("foreign")
            .is_not_found()
    );
    assert!(
        cd.stack(&name("ci:shop"))
            .await
            .expect_err("foreign")
            .is_not_found()
    );
    let seen = admin
        .stack(&name("ci:shop"))
        .await
        .expect("an admin sees it");
    assert_eq!(seen.id, published.stack);
    let by_id = name(&seen.id.to_string());
    assert!(
        cd.delete_stack(&by_id, None, &[])
            .await
            .expect_err("foreign")
            .is_not_found()
    );
    broker.stop().await;
}
