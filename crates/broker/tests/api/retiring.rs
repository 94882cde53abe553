//! An agent that is deleted finishes first, and its key says afterwards that it is no more.

use brokkr_client::{Client, PlainHttp, Retirement};
use brokkr_core::ambient::System;
use brokkr_core::pak::{Pak, Role};
use brokkr_core::wire::{
    Code, Confirmation, ConfirmationResult, CreateStack, OnRemove, PatchStack, TargetRemoval,
    Workloads,
};
use serde_json::json;

use crate::harness::*;

on_both_engines!(
    an_agent_finishes_and_is_retired_by_its_last_confirmation,
    what_is_kept_is_let_go,
    a_retiring_agent_takes_nothing_new,
    an_agent_with_stacks_is_deleted_only_as_somebody_says,
    an_abandoned_agent_is_retired_at_once,
    only_the_very_key_learns_of_the_end,
);

/// A stack that stays in clusters, by its own policy, and one that does not; `edge` runs both.
async fn two_stacks(admin: &Client) {
    let mut mail = CreateStack::named("mail".parse().expect("a name"));
    mail.options.on_remove = OnRemove::Orphan;
    admin.create_stack(&mail).await.expect("a stack");
    create_stack(admin, "shop").await;
    for stack in ["mail", "shop"] {
        publish(admin, stack, config_map("a", "1")).await;
        target(admin, "edge", stack).await;
    }
}

const REMOVE: Retirement = Retirement::Finish(Workloads::Remove);
const KEEP: Retirement = Retirement::Finish(Workloads::Keep);

/// As at the command line: the plan, and then the change.
async fn retire(admin: &Client, how: Retirement) -> Option<brokkr_core::wire::Agent> {
    let plan = admin.plan_retire_agent(&name("edge"), how).await;
    let agreed = admin.agreeing_to(&plan.expect("a plan"));
    let agent = agreed.retire_agent(&name("edge"), how).await;
    agent.expect("a retirement")
}

async fn removals(agent: &Client) -> Vec<TargetRemoval> {
    let state = state_of(agent).await;
    assert!(state.stacks.is_empty());
    let mut removals = state.removals;
    removals.sort_by(|a, b| a.name.cmp(&b.name));
    removals
}

async fn confirm(agent: &Client, removal: &TargetRemoval) {
    let confirmation = Confirmation {
        stack: removal.stack,
        revision: removal.revision,
    };
    let answers = agent.confirm_removals(vec![confirmation]).await;
    let answers = answers.expect("an answer").removals;
    assert_eq!(answers[0].result, ConfirmationResult::Closed);
}

async fn is_gone(agent: &Client) -> bool {
    let refused = agent.me().await.expect_err("a refusal");
    refused.code() == Some(Code::AgentRetired)
}

async fn an_agent_finishes_and_is_retired_by_its_last_confirmation(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    two_stacks(&admin).await;
    let id = admin.agent(&name("edge")).await.expect("an agent").id;
    let retiring = retire(&admin, REMOVE).await.expect("it has to finish");
    assert_eq!(retiring.retiring, Some(Workloads::Remove));
    let shown = admin.agent(&name("edge")).await.expect("an agent");
    assert_eq!(shown.retiring, Some(Workloads::Remove));
    let [mail, shop] = &removals(&agent).await[..] else {
        panic!("two removals");
    };
    // Each stack's own policy holds, and somebody has agreed.
    assert_eq!(
        (mail.policy, shop.policy),
        (OnRemove::Orphan, OnRemove::Delete)
    );
    assert!(mail.approved.is_some() && shop.approved.is_some());
    // The same once more is no change; the other way is none either.
    let again = admin.retire_agent(&name("edge"), REMOVE).await;
    assert_eq!(
        again.expect("an agent").map(|agent| agent.revision),
        Some(retiring.revision)
    );
    let other = admin
        .retire_agent(&name("edge"), KEEP)
        .await
        .expect_err("a refusal");
    assert_eq!(other.code(), Some(Code::InUse));

    confirm(&agent, mail).await;
    assert_eq!(removals(&agent).await.len(), 1);
    assert!(admin.agent(&name("edge")).await.is_ok());
    confirm(&agent, shop).await;
    assert!(is_gone(&agent).await);
    assert!(
        admin
            .agent(&name("edge"))
            .await
            .expect_err("gone")
            .is_not_found()
    );
    let newest = &admin.newest_audit(&[]).await.expect("an audit")[0].entry;
    assert_eq!(newest.action.to_string(), "agent_delete");
    assert_eq!(
        (newest.subject.id, newest.actor.id),
        (id.uuid(), Some(id.uuid()))
    );
    // Its name is free.
    create_agent(&admin, "edge").await;
    assert!(is_gone(&agent).await);
    broker.stop().await;
}

async fn what_is_kept_is_let_go(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    two_stacks(&admin).await;
    retire(&admin, KEEP).await.expect("it has to finish");
    for removal in removals(&agent).await {
        assert_eq!(removal.policy, OnRemove::Orphan);
        confirm(&agent, &removal).await;
    }
    assert!(is_gone(&agent).await);
    broker.stop().await;
}

async fn a_retiring_agent_takes_nothing_new(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    two_stacks(&admin).await;
    retire(&admin, REMOVE).await.expect("it has to finish");
    create_stack(&admin, "late").await;
    publish(&admin, "late", config_map("a", "1")).await;
    // By a rule, a new one or one of a stack that it is removing; and directly.
    for stack in ["late", "shop"] {
        let everyone = json!({"targeting": {"rules": [{"every_agent": true}]}});
        let everyone: PatchStack = serde_json::from_value(everyone).expect("a patch");
        let patched = admin.patch_stack(&name(stack), &everyone).await;
        patched.expect("a stack");
        let create = brokkr_core::wire::CreateAgentTarget {
            agent: name("edge"),
            stack: name(stack),
        };
        let refused = admin.create_agent_target(&create).await;
        let refused = refused.expect_err("it is retiring");
        assert!(refused.to_string().contains("retiring"), "{refused}");
    }
    assert_eq!(removals(&agent).await.len(), 2);
    let told = admin.explain(&name("edge"), &name("late")).await;
    let told = told.expect("an explanation");
    assert!(
        !told.targeted && told.reason.contains("retiring"),
        "{told:?}"
    );
    broker.stop().await;
}

async fn an_agent_with_stacks_is_deleted_only_as_somebody_says(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    two_stacks(&admin).await;
    let refused = admin
        .delete_agent(&name("edge"))
        .await
        .expect_err("it has stacks");
    assert_eq!(refused.code(), Some(Code::InUse));
    let told = refused.to_string();
    for word in [
        "mail",
        "shop",
        "workloads=remove",
        "workloads=keep",
        "force=true",
    ] {
        assert!(told.contains(word), "{told}");
    }
    assert_eq!(state_of(&agent).await.stacks.len(), 2);
    // What the plan says is what was agreed to.
    let plan = admin
        .plan_retire_agent(&name("edge"), REMOVE)
        .await
        .expect("a plan");
    assert_eq!(plan.left, 2);
    let keep = admin
        .plan_retire_agent(&name("edge"), KEEP)
        .await
        .expect("a plan");
    assert_ne!(plan.digest, keep.digest);
    let other = admin.agreeing_to(&plan);
    let other = other
        .retire_agent(&name("edge"), KEEP)
        .await
        .expect_err("another plan");
    assert_eq!(other.code(), Some(Code::PlanChanged));
    // One without stacks needs no word about them.
    let idle = create_agent(&admin, "idle").await;
    let how = Retirement::Finish(Workloads::Remove);
    let idle_is_done = admin.retire_agent(&name("idle"), how).await;
    assert!(idle_is_done.expect("a retirement").is_none());
    let refused = admin.agent(&name("idle")).await.expect_err("gone");
    assert!(refused.is_not_found());
    drop(idle);
    broker.stop().await;
}

async fn an_abandoned_agent_is_retired_at_once(engine: Engine) {
    let database = Database::create(engine).await;
    let broker = database.start().await;
    let admin = broker.client(&database.admin_key());
    let key = create_agent(&admin, "edge").await;
    let agent = broker.client(&key);
    two_stacks(&admin).await;
    let targets = admin
        .agent_targets(Some(&name("mail")), None)
        .await
        .expect("targets");
    let ended = admin.delete_agent_target(targets[0].id, None, &[]).await;
    ended.expect("an end");
    assert!(retire(&admin, Retirement::Force).await.is_none());
    assert!(is_gone(&agent).await);
    let newest = &admin.newest_audit(&[]).await.expect("an audit")[0].entry;
    let abandoned = newest.after.clone().unwrap_or_default()["abandoned"].to_string();
    assert!(abandoned.contains("shop") && abandoned.contains("mail (being removed)"));
    assert!(
        admin
            .agent_targets(None, None)
            .await
            .expect("targets")
            .is_empty()
    );
    assert!(
        admin
            .removals(None, None)
            .await
            .expect("removals")
            .is_empty()
    );
    assert!(
        admin
            .stack_status(&name("shop"))
            .await
            .expect("statuses")
            .is_empty()
    );
    // A broker that was started anew knows it, too.
    broker.stop().await;
    let broker = database.start().await;
    assert!(is_gone(&broker.client(&key)).await);
}

async fn only_the_very_key_learns_of_the_end(engine: Engine) {
    let database = Database::create(engine).await;
    let broker = database.start().await;
    let admin = broker.client(&database.admin_key());
    let created = brokkr_core::wire::CreateAgent::named("edge".parse().expect("a name"));
    let created = admin.create_agent(&created).await.expect("an agent");
    let key: Pak = created.pak.parse().expect("a key");
    let agent = broker.client(&key);
    admin.delete_agent(&name("edge")).await.expect("deleted");

    let before = broker.broker.database_reads();
    let http = reqwest::Client::new();
    for (method, path) in [
        (reqwest::Method::GET, "/me"),
        (reqwest::Method::GET, "/agent/target-state?wait=50"),
        (reqwest::Method::PUT, "/agent/status"),
        (reqwest::Method::POST, "/agent/removals"),
        (reqwest::Method::POST, "/me/rotate"),
        (reqwest::Method::GET, "/agents"),
    ] {
        let url = format!("{}/api/v1{path}", broker.server);
        let answer = http.request(method, url).bearer_auth(key.expose());
        let answer = answer.send().await.expect("an answer");
        assert_eq!(answer.status(), 410, "{path}");
        let kind = answer.headers()["content-type"].to_str().expect("text");
        assert_eq!(kind, "application/problem+json");
        let body: serde_json::Value = answer.json().await.expect("JSON");
        assert_eq!(body["code"], "agent_retired");
        assert_eq!(body["agent"], json!(created.agent.id));
    }
    let own = agent.me().await.expect_err("a refusal");
    assert_eq!(own.retired_agent(), Some(created.agent.id));
    assert_eq!(
        broker.broker.database_reads(),
        before,
        "it reads no database"
    );

    // The right id with another secret, and the right one after it was revoked.
    let other = Pak::generate(Role::Agent, &System);
    let stranger = Client::new(&broker.server, other, PlainHttp::LoopbackOnly);
    let refused = stranger
        .expect("a client")
        .me()
        .await
        .expect_err("a refusal");
    assert_eq!(refused.code(), Some(Code::Unauthenticated));
    admin.revoke_key(key.id()).await.expect("revoked");
    let refused = agent.me().await.expect_err("a refusal");
    assert_eq!(refused.code(), Some(Code::Unauthenticated));
}
