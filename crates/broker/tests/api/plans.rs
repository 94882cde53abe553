//! Plans: what a change would do, the digest that agrees to it, and what is refused without one.

use brokkr_client::Client;
use brokkr_core::pak::Pak;
use brokkr_core::wire::{
    Code, CreateStack, OnRemove, PatchAgent, PatchGenerator, PatchStack, Plan, Publish,
    PublishOptions, Rollback,
};
use brokkr_core::{Digest, KeptKind, ObjectKey};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::*;

on_both_engines!(
    a_plan_has_one_digest_and_stores_nothing,
    a_change_is_made_as_its_plan_says_and_counts_as_approved,
    a_publish_says_what_it_drops_and_its_approval_travels,
    a_plan_that_no_longer_holds_is_refused,
    a_repetition_of_what_was_agreed_to_makes_nothing,
    more_than_the_guard_lets_pass_needs_a_plan,
    the_guard_is_as_the_settings_say,
);

fn snapshot(names: &[&str]) -> Publish {
    let manifests: Vec<_> = names.iter().map(|name| config_map(name, "1")).collect();
    Publish {
        manifests: manifests.join("---\n"),
        options: PublishOptions::default(),
    }
}

fn keys(names: &[&str]) -> Vec<ObjectKey> {
    let key = |name: &&str| ObjectKey {
        group: String::new(),
        kind: "ConfigMap".to_owned(),
        namespace: None,
        name: (*name).to_owned(),
    };
    names.iter().map(key).collect()
}

/// A stack with a rule for every agent, and as many agents beside `edge` as wanted.
async fn everywhere(admin: &Client, stack: &str, agents: usize) {
    let create = CreateStack {
        targeting: serde_json::from_value(json!({"rules": [{"labels": "env=prod"}]}))
            .expect("targeting"),
        ..CreateStack::named(stack.parse().expect("a name"))
    };
    admin.create_stack(&create).await.expect("a stack");
    for agent in 0..agents {
        labelled_agent(admin, &format!("agent-{agent:03}"), "env=prod").await;
    }
}

fn patch_stack(patch: Value) -> PatchStack {
    serde_json::from_value(patch).expect("a patch")
}

fn nobody() -> PatchStack {
    patch_stack(json!({"targeting": {"rules": []}}))
}

async fn revision(admin: &Client) -> u64 {
    let newest = admin.newest_audit(&[]).await.expect("an audit");
    newest[0].entry.revision
}

async fn a_plan_has_one_digest_and_stores_nothing(engine: Engine) {
    let Scene { broker, admin, .. } = Scene::set(engine).await;
    everywhere(&admin, "shop", 3).await;
    target(&admin, "edge", "shop").await;
    let shop = name("shop");
    admin
        .publish(&shop, &snapshot(&["a", "b"]))
        .await
        .expect("1");
    admin.publish(&shop, &snapshot(&["a"])).await.expect("2");
    create_generator(&admin, "ci").await;
    let target = admin.agent_targets(Some(&shop), Some(&name("edge"))).await;
    let target = target.expect("targets")[0].id;
    let agent: PatchAgent = serde_json::from_value(json!({"labels": {"env": null}})).expect("one");
    let scope: PatchGenerator =
        serde_json::from_value(json!({"scope": {"labels": "gpu"}})).expect("one");
    let back = Rollback {
        to: 1,
        options: PublishOptions::default(),
    };
    let before = revision(&admin).await;
    let ask = async || -> Vec<Plan> {
        vec![
            admin
                .plan_publish(&shop, &snapshot(&["b"]))
                .await
                .expect("a plan"),
            admin.plan_rollback(&shop, &back).await.expect("a plan"),
            admin
                .plan_delete_stack(&shop, None, &[])
                .await
                .expect("a plan"),
            admin
                .plan_delete_agent_target(target, None, &[])
                .await
                .expect("a plan"),
            admin.plan_stack(&shop, &nobody()).await.expect("a plan"),
            admin
                .plan_agent(&name("agent-001"), &agent)
                .await
                .expect("a plan"),
            admin
                .plan_generator(&name("ci"), &scope)
                .await
                .expect("a plan"),
        ]
    };
    let plans = ask().await;
    let said = plans
        .iter()
        .map(|plan| (plan.left, plan.dropped.len(), plan.agents));
    let expected = [
        (0, 1, 4),
        (0, 0, 4),
        (4, 0, 0),
        (1, 0, 0),
        (3, 0, 0),
        (1, 0, 0),
        (0, 0, 0),
    ];
    assert!(said.eq(expected), "{plans:#?}");
    assert_eq!(plans[0].dropped, keys(&["a"]));
    assert_eq!(ask().await, plans);
    assert_eq!(revision(&admin).await, before);
    // Another way to go is another plan.
    let orphan = Some(OnRemove::Orphan);
    let orphan = admin
        .plan_delete_stack(&shop, orphan, &[])
        .await
        .expect("a plan");
    let kinds = [KeptKind::Namespace];
    let kinds = admin
        .plan_delete_stack(&shop, None, &kinds)
        .await
        .expect("a plan");
    assert_eq!(kinds.allow_delete, [KeptKind::Namespace]);
    assert!(plans[2].digest != orphan.digest && plans[2].digest != kinds.digest);
    // An agent that has nothing left may be deleted, and one that has may not be planned away either.
    let refused = admin
        .plan_delete_agent(&name("edge"))
        .await
        .expect_err("in use");
    assert_eq!(refused.code(), Some(Code::InUse));
    create_agent(&admin, "idle").await;
    let plan = admin
        .plan_delete_agent(&name("idle"))
        .await
        .expect("a plan");
    assert_eq!(plan.left, 0);
    admin.agent(&name("idle")).await.expect("it is there");
    broker.stop().await;
}

async fn a_change_is_made_as_its_plan_says_and_counts_as_approved(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    for stack in ["shop", "mail", "blog"] {
        create_stack(&admin, stack).await;
        publish(&admin, stack, config_map("a", "1")).await;
        target(&admin, "edge", stack).await;
    }
    let plan = admin
        .plan_delete_stack(&name("shop"), None, &[])
        .await
        .expect("a plan");
    let agreeing = admin.agreeing_to(&plan);
    agreeing
        .delete_stack(&name("shop"), None, &[])
        .await
        .expect("deleted");
    let mail = admin
        .agent_targets(Some(&name("mail")), None)
        .await
        .expect("targets")[0]
        .id;
    let plan = admin
        .plan_delete_agent_target(mail, None, &[])
        .await
        .expect("a plan");
    let agreeing = admin.agreeing_to(&plan);
    agreeing
        .delete_agent_target(mail, None, &[])
        .await
        .expect("ended");
    admin
        .delete_stack(&name("blog"), None, &[])
        .await
        .expect("deleted");
    let shown = admin.removals(None, None).await.expect("removals");
    let told = state_of(&agent).await.removals;
    for (stack, is_approved) in [("shop", true), ("mail", true), ("blog", false)] {
        let shown = shown
            .iter()
            .find(|removal| removal.stack_name.as_str() == stack);
        let told = told.iter().find(|removal| removal.name.as_str() == stack);
        let (shown, told) = (shown.expect("shown"), told.expect("told"));
        assert_eq!(shown.approved, told.approved);
        let by = told.approved.as_ref().map(|approval| approval.by.as_str());
        assert_eq!(by, is_approved.then_some("admin"), "{stack}");
        assert_eq!(shown.revision, Some(told.revision));
    }
    let mail = told.iter().find(|removal| removal.name.as_str() == "mail");
    let approval = mail.expect("told").approved.as_ref().expect("approved");
    assert_eq!(approval.plan, Some(plan.digest));
    let audit = admin.newest_audit(&[]).await.expect("an audit");
    assert_eq!(
        (audit[0].entry.plan, audit[1].entry.plan),
        (None, Some(plan.digest))
    );
    broker.stop().await;
}

async fn a_publish_says_what_it_drops_and_its_approval_travels(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    let shop = name("shop");
    create_stack(&admin, "shop").await;
    target(&admin, "edge", "shop").await;
    let told = async || state_of(&agent).await.stacks.remove(0);
    let agreed = async |names: &[&str]| {
        let publish = snapshot(names);
        let plan = admin.plan_publish(&shop, &publish).await.expect("a plan");
        let agreeing = admin.agreeing_to(&plan);
        agreeing.publish(&shop, &publish).await.expect("published");
        plan
    };
    let first = agreed(&["a", "b", "c", "d"]).await;
    assert!(first.dropped.is_empty() && !first.loses());
    let plan = agreed(&["a", "c", "d"]).await;
    assert!(plan.loses() && plan.dropped == keys(&["b"]));
    assert_eq!(told().await.approved_losses, keys(&["b"]));
    // Nobody agreed to this one: it carries what was agreed to before.
    admin
        .publish(&shop, &snapshot(&["c", "d"]))
        .await
        .expect("published");
    assert_eq!(told().await.approved_losses, keys(&["b"]));
    agreed(&["c"]).await;
    assert_eq!(told().await.approved_losses, keys(&["b", "d"]));
    // What is there again is lost only when somebody agrees anew.
    admin
        .publish(&shop, &snapshot(&["b", "c"]))
        .await
        .expect("published");
    assert_eq!(told().await.approved_losses, keys(&["d"]));
    admin
        .publish(&shop, &snapshot(&["c"]))
        .await
        .expect("published");
    assert_eq!(told().await.approved_losses, keys(&["d"]));
    let back = Rollback {
        to: 5,
        options: PublishOptions::default(),
    };
    let plan = admin.plan_rollback(&shop, &back).await.expect("a plan");
    assert!(plan.dropped.is_empty(), "{plan:?}");
    admin.rollback(&shop, &back).await.expect("rolled back");
    let back = Rollback { to: 6, ..back };
    let plan = admin.plan_rollback(&shop, &back).await.expect("a plan");
    assert_eq!(plan.dropped, keys(&["b"]));
    admin
        .agreeing_to(&plan)
        .rollback(&shop, &back)
        .await
        .expect("rolled back");
    assert_eq!(told().await.approved_losses, keys(&["d", "b"]));
    broker.stop().await;
}

async fn a_plan_that_no_longer_holds_is_refused(engine: Engine) {
    let Scene {
        broker,
        admin,
        admin_key,
        ..
    } = Scene::set(engine).await;
    everywhere(&admin, "shop", 2).await;
    let shop = name("shop");
    admin
        .publish(&shop, &snapshot(&["a", "b"]))
        .await
        .expect("published");
    let less = snapshot(&["a"]);
    let publish = admin.plan_publish(&shop, &less).await.expect("a plan");
    let delete = admin
        .plan_delete_stack(&shop, None, &[])
        .await
        .expect("a plan");
    labelled_agent(&admin, "late", "env=prod").await;
    let before = revision(&admin).await;
    let changed = |outcome: brokkr_client::Result<()>| {
        let refused = outcome.expect_err("another plan");
        assert_eq!(refused.code(), Some(Code::PlanChanged), "{refused}");
    };
    let agreeing = admin.agreeing_to(&publish);
    changed(agreeing.publish(&shop, &less).await.map(drop));
    changed(agreeing.delete_stack(&shop, None, &[]).await);
    let agreeing = admin.agreeing_to(&delete);
    changed(agreeing.delete_stack(&shop, None, &[]).await);
    changed(agreeing.patch_stack(&shop, &nobody()).await.map(drop));
    // What was agreed to is not what is done.
    let delete = admin
        .plan_delete_stack(&shop, None, &[])
        .await
        .expect("a plan");
    let agreeing = admin.agreeing_to(&delete);
    let orphan = Some(OnRemove::Orphan);
    changed(agreeing.delete_stack(&shop, orphan, &[]).await);
    changed(
        agreeing
            .delete_stack(&shop, None, &[KeptKind::Namespace])
            .await,
    );
    assert_eq!(revision(&admin).await, before, "nothing was made");
    let (status, problem) = send(&broker, &admin_key, "sha256:00").await;
    assert_eq!((status, &problem["code"]), (400, &json!("malformed")));
    agreeing
        .delete_stack(&shop, None, &[])
        .await
        .expect("deleted");
    broker.stop().await;
}

async fn send(broker: &TestBroker, key: &Pak, plan: &str) -> (u16, Value) {
    let url = format!("{}/api/v1/stacks/shop", broker.server);
    let request = reqwest::Client::new().request(Method::DELETE, url);
    let request = request
        .bearer_auth(key.expose())
        .header("brokkr-plan", plan);
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

async fn a_repetition_of_what_was_agreed_to_makes_nothing(engine: Engine) {
    let Scene {
        broker,
        admin,
        admin_key,
        ..
    } = Scene::set(engine).await;
    create_stack(&admin, "shop").await;
    admin
        .publish(&name("shop"), &snapshot(&["a", "b"]))
        .await
        .expect("published");
    let less = snapshot(&["a"]);
    let plan = admin
        .plan_publish(&name("shop"), &less)
        .await
        .expect("a plan");
    let publish = async |plan: Digest| {
        let url = format!("{}/api/v1/stacks/shop/deployment-objects", broker.server);
        let request = reqwest::Client::new().post(url).json(&less);
        let request = request.bearer_auth(admin_key.expose());
        let request = request.header("brokkr-plan", plan.to_string());
        let answer = request.header("idempotency-key", "once").send().await;
        let answer = answer.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.expect("JSON"))
    };
    // What was refused is not remembered.
    let (status, problem) = publish(Digest::of(None, "another")).await;
    assert_eq!((status, &problem["code"]), (409, &json!("plan_changed")));
    let first = publish(plan.digest).await;
    assert_eq!(first.0, 201, "{first:?}");
    assert_eq!(publish(plan.digest).await, first);
    assert_eq!(
        admin.history(&name("shop")).await.expect("a history").len(),
        2
    );
    broker.stop().await;
}

async fn more_than_the_guard_lets_pass_needs_a_plan(engine: Engine) {
    let Scene { broker, admin, .. } = Scene::set(engine).await;
    everywhere(&admin, "shop", 11).await;
    everywhere(&admin, "mail", 0).await;
    let ci = broker.client(&create_generator(&admin, "ci").await);
    everywhere(&ci, "blog", 0).await;
    let shop = name("shop");
    let before = revision(&admin).await;
    let scope = serde_json::from_value(json!({"scope": {"labels": "gpu"}})).expect("a patch");
    let refusals = [
        admin.patch_stack(&shop, &nobody()).await.map(drop),
        admin.delete_stack(&shop, None, &[]).await,
        admin.patch_generator(&name("ci"), &scope).await.map(drop),
        ci.delete_stack(&name("blog"), None, &[]).await,
    ];
    for refused in refusals {
        let refused = refused.expect_err("too many agents");
        assert_eq!(refused.code(), Some(Code::PlanRequired), "{refused}");
        let text = refused.to_string();
        for part in [
            "11 of the 11",
            "agent-",
            "8 more",
            "?plan=only",
            "Brokkr-Plan",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    assert_eq!(revision(&admin).await, before, "nothing was made");
    // One agent that loses many stacks is one agent.
    let relabel = serde_json::from_value(json!({"labels": {"env": null}})).expect("a patch");
    let relabelled = admin.patch_agent(&name("agent-000"), &relabel).await;
    relabelled.expect("one agent");
    admin
        .delete_stack(&shop, None, &[])
        .await
        .expect("ten agents");
    labelled_agent(&admin, "agent-011", "env=prod").await;
    let plan = admin
        .plan_delete_stack(&name("mail"), None, &[])
        .await
        .expect("a plan");
    assert_eq!(plan.left, 11);
    let agreeing = admin.agreeing_to(&plan);
    agreeing
        .delete_stack(&name("mail"), None, &[])
        .await
        .expect("agreed");
    let plan = admin
        .plan_generator(&name("ci"), &scope)
        .await
        .expect("a plan");
    let agreeing = admin.agreeing_to(&plan);
    agreeing
        .patch_generator(&name("ci"), &scope)
        .await
        .expect("agreed");
    broker.stop().await;
}

async fn the_guard_is_as_the_settings_say(engine: Engine) {
    let Scene { broker, admin, .. } = Scene::set(engine).await;
    everywhere(&admin, "shop", 4).await;
    let settle = async |guard: Value| {
        let patch = serde_json::from_value(json!({"guard": guard})).expect("a patch");
        admin.patch_settings(&patch).await.expect("settled").guard
    };
    let guard = settle(json!({"agents": 1, "agents_percent": 50})).await;
    assert_eq!((guard.agents.get(), guard.agents_percent.get()), (1, 50));
    let exclude = |names: &str| {
        let rule = json!({"labels": format!("tier in ({names})")});
        patch_stack(json!({"targeting": {"exclude": [rule]}}))
    };
    for (agent, tier) in [("agent-000", "a"), ("agent-001", "b"), ("agent-002", "c")] {
        let patch = serde_json::from_value(json!({"labels": {"tier": tier}})).expect("a patch");
        admin
            .patch_agent(&name(agent), &patch)
            .await
            .expect("patched");
    }
    let shop = name("shop");
    let refused = admin.patch_stack(&shop, &exclude("a,b,c")).await;
    let refused = refused.expect_err("three of four");
    assert_eq!(refused.code(), Some(Code::PlanRequired));
    admin
        .patch_stack(&shop, &exclude("a,b"))
        .await
        .expect("two of four");
    settle(json!({"agents_percent": 100})).await;
    admin
        .patch_stack(&shop, &nobody())
        .await
        .expect("all of two");
    assert_eq!(
        settle(Value::Null).await,
        brokkr_core::wire::Guard::default()
    );
    broker.stop().await;
}
