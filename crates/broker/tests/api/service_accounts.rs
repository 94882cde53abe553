//! As which service account agents act: who decides it, what is stronger, and how agents are told.

use std::time::Duration;

use brokkr_client::{Client, Poll};
use brokkr_core::ServiceAccount;
use brokkr_core::targeting::AgentScope;
use brokkr_core::wire::{
    Ask, Code, CreateGenerator, CreateStack, IMPERSONATE, OpenSession, PatchGenerator, PatchStack,
    PatchStackOptions, TargetState, WINDOWS,
};
use serde_json::json;

use crate::harness::*;

on_both_engines!(
    an_account_reaches_the_agents_and_asks_them_to_know_of_it,
    a_generators_stacks_act_as_its_account_and_it_cannot_change_that,
    another_account_wakes_the_agents_of_its_stacks_and_nobody_else,
    what_is_removed_is_removed_as_the_account,
    an_agent_that_knows_no_accounts_is_not_asked_what_a_content_would_change,
);

fn account(text: &str) -> ServiceAccount {
    text.parse().expect("an account")
}

/// A patch of a stack to this account, or to none of its own.
fn acting_as(text: Option<&str>) -> PatchStack {
    PatchStack {
        options: PatchStackOptions {
            service_account: Some(text.map(account)),
            ..PatchStackOptions::default()
        },
        ..PatchStack::default()
    }
}

fn of_generator(text: Option<&str>) -> PatchGenerator {
    PatchGenerator {
        service_account: Some(text.map(account)),
        ..PatchGenerator::default()
    }
}

async fn set_generator(admin: &Client, text: Option<&str>) {
    let patched = admin
        .patch_generator(&name("ci"), &of_generator(text))
        .await;
    assert_eq!(
        patched.expect("a generator").service_account,
        text.map(account)
    );
}

/// As whom the agent is told to act for its one stack, and what it must know.
fn told(state: &TargetState) -> (Option<String>, Vec<&str>) {
    let [entry] = state.stacks.as_slice() else {
        panic!("{:?}", state.stacks);
    };
    let account = entry.service_account.as_ref().map(ToString::to_string);
    (account, entry.requires.iter().map(String::as_str).collect())
}

async fn an_account_reaches_the_agents_and_asks_them_to_know_of_it(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    create_stack(&admin, "shop").await;
    publish(&admin, "shop", config_map("a", "1")).await;
    target(&admin, "edge", "shop").await;
    let mut before = state_of(&agent).await;
    assert_eq!(told(&before), (None, vec![]));
    for text in [Some("deployers/shop"), Some("deployers/other"), None] {
        let patched = admin.patch_stack(&name("shop"), &acting_as(text)).await;
        let stack = patched.expect("a stack");
        assert_eq!(stack.options.service_account, text.map(account));
        assert_eq!(stack.service_account(), text.map(account).as_ref());
        let state = state_of(&agent).await;
        let requires = text.map_or_else(Vec::new, |_| vec![IMPERSONATE]);
        assert_eq!(told(&state), (text.map(str::to_owned), requires));
        assert!(state.revision > before.revision);
        before = state;
    }
    let mut create = CreateStack::named("mail".parse().expect("a name"));
    create.options.service_account = Some(account("deployers/mail"));
    let created = admin.create_stack(&create).await.expect("a stack");
    assert_eq!(created.service_account(), Some(&account("deployers/mail")));
    let newest = &admin.newest_audit(&[]).await.expect("an audit")[0].entry;
    let after = newest.after.as_ref().expect("a stack");
    assert_eq!(after["options"]["service_account"], "deployers/mail");
    broker.stop().await;
}

async fn a_generators_stacks_act_as_its_account_and_it_cannot_change_that(engine: Engine) {
    let database = Database::create(engine).await;
    let mut broker = database.start().await;
    let mut admin = broker.client(&database.admin_key());
    let edge = create_agent(&admin, "edge").await;
    let create = CreateGenerator {
        service_account: Some(account("deployers/ci")),
        ..CreateGenerator::new("ci".parse().expect("a name"), AgentScope::AllAgents)
    };
    let created = admin.create_generator(&create).await.expect("a generator");
    assert_eq!(created.generator.service_account, create.service_account);
    let ci = broker.client(&created.pak.parse().expect("a key"));
    let stack = CreateStack::named("shop".parse().expect("a name"));
    let stack = ci.create_stack(&stack).await.expect("a stack");
    assert_eq!(stack.options.service_account, None);
    assert_eq!(stack.service_account(), Some(&account("deployers/ci")));
    publish(&ci, "shop", config_map("a", "1")).await;
    target(&admin, "edge", "ci:shop").await;
    let told_by = async |broker: &TestBroker| {
        let state = state_of(&broker.client(&edge)).await;
        assert_eq!(told(&state).1, [IMPERSONATE]);
        told(&state).0.expect("an account")
    };
    assert_eq!(told_by(&broker).await, "deployers/ci");

    // It chooses none for itself, not even its own, in the beginning or later.
    let mut mail = CreateStack::named("mail".parse().expect("a name"));
    mail.options.service_account = Some(account("kube-system/anything"));
    let refused = ci.create_stack(&mail).await.expect_err("not theirs");
    assert_eq!(refused.code(), Some(Code::Forbidden));
    assert!(refused.to_string().contains("service_account"), "{refused}");
    for text in ["kube-system/anything", "deployers/ci"] {
        let refused = ci.patch_stack(&name("shop"), &acting_as(Some(text))).await;
        let refused = refused.expect_err("not theirs");
        assert_eq!(refused.code(), Some(Code::Forbidden));
        let patch = of_generator(Some(text));
        let refused = ci.patch_generator(&name("ci"), &patch).await;
        let refused = refused.expect_err("not theirs");
        assert_eq!(refused.code(), Some(Code::Forbidden));
    }
    assert_eq!(told_by(&broker).await, "deployers/ci");

    // What an admin gives a stack is stronger, and not the generator's to take away; other options are.
    let special = acting_as(Some("deployers/special"));
    let patched = admin.patch_stack(&name("ci:shop"), &special).await;
    patched.expect("a stack");
    assert_eq!(told_by(&broker).await, "deployers/special");
    let refused = ci.patch_stack(&name("shop"), &acting_as(None)).await;
    assert_eq!(
        refused.expect_err("not theirs").code(),
        Some(Code::Forbidden)
    );
    let label: PatchStack =
        serde_json::from_value(json!({"labels": {"env": "prod"}})).expect("a patch");
    ci.patch_stack(&name("shop"), &label).await.expect("theirs");
    set_generator(&admin, Some("deployers/later")).await;
    assert_eq!(told_by(&broker).await, "deployers/special");
    let patched = admin.patch_stack(&name("ci:shop"), &acting_as(None)).await;
    let patched = patched.expect("a stack");
    assert_eq!(patched.service_account(), Some(&account("deployers/later")));
    assert_eq!(told_by(&broker).await, "deployers/later");

    // A broker that was started anew says the same.
    let before = state_of(&broker.client(&edge)).await;
    broker.stop().await;
    broker = database.start().await;
    admin = broker.client(&database.admin_key());
    let after = state_of(&broker.client(&edge)).await;
    assert_eq!(
        (after.revision, after.stacks),
        (before.revision, before.stacks)
    );
    set_generator(&admin, None).await;
    let state = state_of(&broker.client(&edge)).await;
    assert_eq!(told(&state), (None, vec![]));
    assert!(state.revision > before.revision);
    broker.stop().await;
}

async fn another_account_wakes_the_agents_of_its_stacks_and_nobody_else(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    let other = broker.client(&create_agent(&admin, "other").await);
    let ci = broker.client(&create_generator(&admin, "ci").await);
    create_stack(&ci, "shop").await;
    publish(&ci, "shop", config_map("a", "1")).await;
    target(&admin, "edge", "ci:shop").await;
    let seen = admin.stack(&name("ci:shop")).await.expect("a stack");
    let etag = async |agent: &Client| match agent
        .target_state(None, Duration::ZERO, Duration::ZERO)
        .await
    {
        Ok(Poll::Changed { etag, .. }) => etag,
        other => panic!("a first poll has an answer: {other:?}"),
    };
    let (running, not_running) = (etag(&agent).await, etag(&other).await);
    let wait = Duration::from_secs(30);
    let waiting = agent.target_state(Some(&running), wait, wait);
    let set = set_generator(&admin, Some("deployers/ci"));
    let (answer, ()) = tokio::join!(waiting, set);
    let Poll::Changed { state, .. } = answer.expect("a state") else {
        panic!("the poll was not woken");
    };
    assert_eq!(told(&state).0.as_deref(), Some("deployers/ci"));
    let same = other.target_state(Some(&not_running), Duration::ZERO, Duration::ZERO);
    assert!(matches!(same.await.expect("an answer"), Poll::Unchanged));
    // Nobody edited the stack itself.
    let stack = admin.stack(&name("ci:shop")).await.expect("a stack");
    assert_eq!(stack.revision, seen.revision);
    broker.stop().await;
}

async fn what_is_removed_is_removed_as_the_account(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    let ci = broker.client(&create_generator(&admin, "ci").await);
    set_generator(&admin, Some("deployers/ci")).await;
    for stack in ["shop", "mail"] {
        create_stack(&ci, stack).await;
        publish(&ci, stack, config_map("a", "1")).await;
        target(&admin, "edge", &format!("ci:{stack}")).await;
    }
    let special = acting_as(Some("deployers/special"));
    let patched = admin.patch_stack(&name("ci:mail"), &special).await;
    patched.expect("a stack");
    ci.delete_stack(&name("shop"), None, &[])
        .await
        .expect("a deletion");
    let targets = admin.agent_targets(None, None).await.expect("targets");
    let ended = admin.delete_agent_target(targets[0].id, None, &[]).await;
    ended.expect("an end");
    let removals = async || {
        let state = state_of(&agent).await;
        // An agent that knows no accounts would remove what stands there by its own rights.
        assert!(state.removals.is_empty() && state.stacks.is_empty());
        let removals = state.conditional_removals.iter();
        let mut removals: Vec<_> = removals
            .map(|removal| {
                assert_eq!(removal.requires, [IMPERSONATE]);
                let account = removal.service_account.as_ref().expect("an account");
                (removal.name.to_string(), account.to_string())
            })
            .collect();
        removals.sort();
        (state.revision, removals)
    };
    let pair = |stack: &str, account: &str| (stack.to_owned(), account.to_owned());
    let (before, told) = removals().await;
    let special = pair("mail", "deployers/special");
    assert_eq!(told, [special.clone(), pair("shop", "deployers/ci")]);
    // A stack that was deleted follows its generator, one that lives its own options.
    set_generator(&admin, Some("deployers/later")).await;
    let (after, told) = removals().await;
    assert_eq!(told, [special, pair("shop", "deployers/later")]);
    assert!(after > before);
    let patched = admin.patch_stack(&name("ci:mail"), &acting_as(None)).await;
    patched.expect("a stack");
    let (last, told) = removals().await;
    let later = |stack| pair(stack, "deployers/later");
    assert_eq!(told, [later("mail"), later("shop")]);
    assert!(last > after);

    // What waits for a window and for rights says both; what stays in the cluster needs none.
    let freeze = json!({
        "name": "freeze", "scope": "all_agents", "rule": "deny",
        "cron": "0 2 * * *", "minutes": 120, "zone": "UTC",
    });
    let freeze = serde_json::from_value(freeze).expect("a window");
    admin.create_window(&freeze).await.expect("a window");
    let state = state_of(&agent).await;
    let requires = state.conditional_removals.iter().map(|r| &r.requires);
    assert!(
        requires.clone().count() == 2 && requires.clone().all(|r| *r == [WINDOWS, IMPERSONATE])
    );
    admin.delete_window(&name("freeze")).await.expect("none");
    for removal in admin.removals(None, None).await.expect("removals") {
        admin
            .refuse_removal(removal.id, None)
            .await
            .expect("a refusal");
    }
    let state = state_of(&agent).await;
    assert_eq!(state.removals.len(), 2);
    assert!(state.conditional_removals.is_empty());
    broker.stop().await;
}

async fn an_agent_that_knows_no_accounts_is_not_asked_what_a_content_would_change(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    create_stack(&admin, "shop").await;
    publish(&admin, "shop", config_map("a", "1")).await;
    target(&admin, "edge", "shop").await;
    let session = async |features: &[&str]| {
        let open = OpenSession {
            cluster: "one".parse().expect("a UID"),
            version: "0.1.9".to_owned(),
            features: features.iter().map(ToString::to_string).collect(),
        };
        let session = agent.open_session(&open).await.expect("a session");
        state_of(&agent.in_session(session)).await;
    };
    let plan = async || {
        let ask = Ask::Plan {
            stack: name("shop"),
            manifests: config_map("a", "2"),
            allow_delete: Vec::new(),
        };
        admin.ask(&name("edge"), &ask).await
    };
    session(&["requests/plan"]).await;
    plan().await.expect("a request");
    let patch = acting_as(Some("deployers/shop"));
    let patched = admin.patch_stack(&name("shop"), &patch).await;
    patched.expect("a stack");
    let refused = plan().await.expect_err("by its own rights");
    assert_eq!(refused.code(), Some(Code::CannotAsk));
    session(&["requests/plan", IMPERSONATE]).await;
    plan().await.expect("a request");
    broker.stop().await;
}
