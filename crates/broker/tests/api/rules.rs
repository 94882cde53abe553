//! Rules, exclusions, scopes and facts: who is targeted, what a plan says before, what explain says after.

use brokkr_client::Client;
use brokkr_core::targeting::{AgentScope, Facts, Rule, RuleParts};
use brokkr_core::wire::{
    Code, Confirmation, CreateStack, Effect, PatchAgent, PatchGenerator, PatchQuota, PatchStack,
    PatchTargeting,
};
use serde_json::{Value, json};

use crate::harness::*;

on_both_engines!(
    all_prod_agents_run_all_prod_stacks,
    a_relabelled_agent_moves_from_one_stack_to_another,
    a_plan_changes_nothing,
    a_fact_admits_and_never_removes,
    an_exclusion_and_a_scope_hold_against_everything,
    a_long_annotation_is_found_by_its_key,
    a_generator_has_a_quota,
    what_would_target_wrongly_is_refused,
);

/// A stack with labels and targeting, both as JSON.
async fn ruled_stack(client: &Client, stack: &str, labels: &str, targeting: Value) {
    let create = CreateStack {
        labels: labels_of(labels),
        targeting: serde_json::from_value(targeting).expect("targeting"),
        ..CreateStack::named(stack.parse().expect("a name"))
    };
    client.create_stack(&create).await.expect("a stack");
}

/// Which agents run a stack, by name.
async fn runners(admin: &Client, stack: &str) -> Vec<String> {
    let targets = admin.agent_targets(Some(&name(stack)), None).await;
    let targets = targets.expect("targets").into_iter();
    let mut names: Vec<_> = targets
        .map(|target| target.agent_name.to_string())
        .collect();
    names.sort();
    names
}

fn patch_agent(patch: Value) -> PatchAgent {
    serde_json::from_value(patch).expect("a patch")
}

fn patch_stack(patch: Value) -> PatchStack {
    serde_json::from_value(patch).expect("a patch")
}

async fn all_prod_agents_run_all_prod_stacks(engine: Engine) {
    let Scene { broker, admin, .. } = Scene::set(engine).await;
    let same_env = json!({"rules": [{"same": ["env"]}]});
    labelled_agent(&admin, "north", "env=prod").await;
    ruled_stack(&admin, "shop", "env=prod", same_env.clone()).await;
    ruled_stack(&admin, "mail", "env=test", same_env).await;
    labelled_agent(&admin, "south", "env=prod,gpu").await;
    labelled_agent(&admin, "west", "env=test").await;
    assert_eq!(runners(&admin, "shop").await, ["north", "south"]);
    assert_eq!(runners(&admin, "mail").await, ["west"]);
    let patch = patch_stack(json!({"labels": {"env": "test"}}));
    admin
        .patch_stack(&name("shop"), &patch)
        .await
        .expect("patched");
    assert_eq!(runners(&admin, "shop").await, ["west"]);
    let patch = patch_stack(json!({"labels": {"env": null}}));
    admin
        .patch_stack(&name("shop"), &patch)
        .await
        .expect("patched");
    assert!(runners(&admin, "shop").await.is_empty());
    broker.stop().await;
}

async fn a_relabelled_agent_moves_from_one_stack_to_another(engine: Engine) {
    let Scene { broker, admin, .. } = Scene::set(engine).await;
    let north = broker.client(&labelled_agent(&admin, "north", "tier=a").await);
    for (stack, tier) in [("shop", "a"), ("mail", "b")] {
        let rule = json!({"rules": [{"labels": format!("tier={tier}")}]});
        ruled_stack(&admin, stack, "", rule).await;
        publish(&admin, stack, config_map(stack, "1")).await;
    }
    let before = state_of(&north).await;
    assert_eq!(before.stacks[0].name.as_str(), "shop");
    let patch = patch_agent(json!({"labels": {"tier": "b"}}));
    admin
        .patch_agent(&name("north"), &patch)
        .await
        .expect("patched");
    let state = state_of(&north).await;
    assert_eq!(state.stacks[0].name.as_str(), "mail");
    let [removal] = state.removals.as_slice() else {
        panic!("{state:?}")
    };
    assert_eq!(removal.name.as_str(), "shop");
    let confirmation = Confirmation {
        stack: removal.stack,
        revision: removal.revision,
    };
    north
        .confirm_removals(vec![confirmation])
        .await
        .expect("confirmed");
    assert!(state_of(&north).await.removals.is_empty());
    // A rule's target is not taken back by hand: it would be there again at the next change.
    let target = admin
        .agent_targets(Some(&name("mail")), None)
        .await
        .expect("targets")
        .remove(0);
    let refused = admin
        .delete_agent_target(target.id, None, &[])
        .await
        .expect_err("a rule");
    assert_eq!(refused.code(), Some(Code::InUse));
    // One that is direct as well stays, for the rule.
    crate::harness::target(&admin, "north", "mail").await;
    let both = admin
        .agent_targets(Some(&name("mail")), None)
        .await
        .expect("targets")
        .remove(0);
    assert!(
        both.direct && both.rule.is_some() && both.id == target.id,
        "{both:?}"
    );
    admin
        .delete_agent_target(both.id, None, &[])
        .await
        .expect("taken back");
    assert_eq!(runners(&admin, "mail").await, ["north"]);
    broker.stop().await;
}

async fn a_plan_changes_nothing(engine: Engine) {
    let Scene { broker, admin, .. } = Scene::set(engine).await;
    for agent in ["north", "south"] {
        labelled_agent(&admin, agent, "env=prod").await;
    }
    ruled_stack(
        &admin,
        "shop",
        "",
        json!({"rules": [{"labels": "env=prod"}]}),
    )
    .await;
    let patch = patch_stack(
        json!({"targeting": {"rules": [{"every_agent": true}], "exclude": [{"labels": "env"}]}}),
    );
    let before = admin.stack(&name("shop")).await.expect("a stack");
    let plan = admin
        .plan_stack(&name("shop"), &patch)
        .await
        .expect("a plan");
    assert_eq!((plan.reached, plan.left), (1, 2), "{plan:?}");
    let reached = plan
        .changes
        .iter()
        .find(|planned| planned.effect == Effect::Reach);
    assert_eq!(reached.expect("one").agent_name.as_str(), "edge");
    assert_eq!(admin.stack(&name("shop")).await.expect("a stack"), before);
    assert_eq!(runners(&admin, "shop").await, ["north", "south"]);
    let patch = patch_agent(json!({"labels": {"env": null}}));
    let plan = admin
        .plan_agent(&name("north"), &patch)
        .await
        .expect("a plan");
    assert_eq!((plan.reached, plan.left), (0, 1));
    let plan = admin
        .plan_delete_stack(&name("shop"), None, &[])
        .await
        .expect("a plan");
    assert_eq!((plan.reached, plan.left), (0, 2));
    assert_eq!(runners(&admin, "shop").await, ["north", "south"]);
    assert!(
        admin
            .removals(None, None)
            .await
            .expect("removals")
            .is_empty()
    );
    broker.stop().await;
}

async fn a_fact_admits_and_never_removes(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    let rule = json!({"rules": [{"every_agent": true, "facts": "kubernetes.version>=1.33"}]});
    ruled_stack(&admin, "shop", "", rule.clone()).await;
    let version = |version: &str| Facts {
        kubernetes_version: Some(version.to_owned()),
        ..Facts::default()
    };
    let explained = async || {
        admin
            .explain(&name("edge"), &name("shop"))
            .await
            .expect("an explanation")
    };
    assert!(!explained().await.targeted);
    agent
        .report_facts(&version("v1.32.9"))
        .await
        .expect("reported");
    assert!(!explained().await.targeted);
    agent
        .report_facts(&version("v1.33.1"))
        .await
        .expect("reported");
    assert_eq!(runners(&admin, "shop").await, ["edge"]);
    let explanation = explained().await;
    assert!(explanation.targeted && explanation.rules[0].matches);
    agent
        .report_facts(&version("v1.30.0"))
        .await
        .expect("reported");
    let target = admin
        .agent_targets(Some(&name("shop")), None)
        .await
        .expect("targets")
        .remove(0);
    assert!(target.ineligible, "{target:?}");
    let explanation = explained().await;
    assert!(explanation.rules[0].facts_held_before && !explanation.rules[0].findings[1].holds);
    // An edit judges all anew; one that leaves the rule as it is does not.
    let patch = PatchStack {
        targeting: PatchTargeting {
            rules: Some(vec![
                serde_json::from_value(rule["rules"][0].clone()).expect("a rule"),
                Rule::try_from(RuleParts {
                    labels: Some("never".parse().expect("a selector")),
                    ..RuleParts::default()
                })
                .expect("a rule"),
            ]),
            exclude: None,
        },
        ..PatchStack::default()
    };
    admin
        .patch_stack(&name("shop"), &patch)
        .await
        .expect("patched");
    assert_eq!(runners(&admin, "shop").await, ["edge"]);
    let patch = patch_stack(
        json!({"targeting": {"rules": [{"every_agent": true, "facts": "kubernetes.version>=1.31"}]}}),
    );
    admin
        .patch_stack(&name("shop"), &patch)
        .await
        .expect("patched");
    assert!(runners(&admin, "shop").await.is_empty());
    // A rule that comes back is judged anew too.
    let patch = PatchStack {
        targeting: serde_json::from_value(rule).expect("targeting"),
        ..PatchStack::default()
    };
    admin
        .patch_stack(&name("shop"), &patch)
        .await
        .expect("patched");
    assert!(runners(&admin, "shop").await.is_empty());
    broker.stop().await;
}

async fn an_exclusion_and_a_scope_hold_against_everything(engine: Engine) {
    let Scene { broker, admin, .. } = Scene::set(engine).await;
    for (agent, labels) in [
        ("north", "team=ci"),
        ("south", "team=ci,gpu"),
        ("west", "team=cd"),
    ] {
        labelled_agent(&admin, agent, labels).await;
    }
    let ci = broker.client(&scoped_generator(&admin, "ci", "team=ci").await);
    let seen = ci.agents().await.expect("agents");
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(
        ci.agent(&name("west"))
            .await
            .expect_err("outside")
            .is_not_found()
    );
    let everyone = json!({"rules": [{"every_agent": true}], "exclude": [{"labels": "gpu"}]});
    ruled_stack(&ci, "shop", "", everyone).await;
    assert_eq!(runners(&ci, "shop").await, ["north"]);
    let direct = |agent: &str, stack: &str| brokkr_core::wire::CreateAgentTarget {
        agent: name(agent),
        stack: name(stack),
    };
    let refused = ci
        .create_agent_target(&direct("south", "shop"))
        .await
        .expect_err("excluded");
    assert_eq!(refused.code(), Some(Code::Invalid));
    let refused = ci
        .create_agent_target(&direct("west", "shop"))
        .await
        .expect_err("outside");
    assert!(refused.is_not_found());
    let refused = admin.create_agent_target(&direct("west", "ci:shop")).await;
    assert_eq!(
        refused.expect_err("outside the owner's scope").code(),
        Some(Code::Invalid)
    );
    // A scope that narrows ends targets, also direct ones.
    create_stack(&ci, "mail").await;
    target(&ci, "north", "mail").await;
    let patch = PatchGenerator {
        scope: Some(serde_json::from_value(json!({"labels": "team=cd"})).expect("a scope")),
        ..PatchGenerator::default()
    };
    let plan = admin
        .plan_generator(&name("ci"), &patch)
        .await
        .expect("a plan");
    assert_eq!((plan.reached, plan.left), (1, 2), "{plan:?}");
    admin
        .patch_generator(&name("ci"), &patch)
        .await
        .expect("patched");
    assert_eq!(runners(&admin, "ci:shop").await, ["west"]);
    assert!(runners(&admin, "ci:mail").await.is_empty());
    assert_eq!(ci.agents().await.expect("agents").len(), 1);
    let explanation = admin
        .explain(&name("north"), &name("ci:shop"))
        .await
        .expect("a miss");
    assert!(!explanation.targeted && !explanation.scope.expect("a scope").reaches);
    let target = admin
        .agent_targets(Some(&name("ci:shop")), None)
        .await
        .expect("targets")
        .remove(0);
    assert_eq!(target.generator.expect("an owner").as_str(), "ci");
    broker.stop().await;
}

async fn a_long_annotation_is_found_by_its_key(engine: Engine) {
    let Scene { broker, admin, .. } = Scene::set(engine).await;
    let long = "x".repeat(3_000);
    let rule = json!({"rules": [{"annotations": format!("note=\"{long}\"")}, {"same_annotations": ["site"]}]});
    ruled_stack(&admin, "shop", "", rule).await;
    let patch = patch_agent(json!({"annotations": {"note": long}}));
    admin
        .patch_agent(&name("edge"), &patch)
        .await
        .expect("patched");
    assert_eq!(runners(&admin, "shop").await, ["edge"]);
    let site = "y".repeat(4_096);
    let patch = patch_agent(json!({"annotations": {"note": null, "site": site}}));
    admin
        .patch_agent(&name("edge"), &patch)
        .await
        .expect("patched");
    assert!(runners(&admin, "shop").await.is_empty());
    let patch = patch_stack(json!({"annotations": {"site": site}}));
    admin
        .patch_stack(&name("shop"), &patch)
        .await
        .expect("patched");
    assert_eq!(runners(&admin, "shop").await, ["edge"]);
    broker.stop().await;
}

async fn a_generator_has_a_quota(engine: Engine) {
    let Scene { broker, admin, .. } = Scene::set(engine).await;
    let ci = broker.client(&create_generator(&admin, "ci").await);
    let quota = |stacks, bytes, publishes_per_minute| PatchGenerator {
        scope: Some(AgentScope::AllAgents),
        quota: Some(PatchQuota {
            stacks: Some(stacks),
            bytes: Some(bytes),
            publishes_per_minute: Some(publishes_per_minute),
        }),
        ..PatchGenerator::default()
    };
    let set = async |patch| {
        admin
            .patch_generator(&name("ci"), &patch)
            .await
            .expect("patched")
    };
    set(quota(Some(1), Some(1_000_000), Some(1_000))).await;
    create_stack(&ci, "shop").await;
    let one_more = CreateStack::named("mail".parse().expect("a name"));
    let refused = ci.create_stack(&one_more).await.expect_err("one too many");
    assert_eq!(refused.code(), Some(Code::QuotaExceeded));
    publish(&ci, "shop", config_map("a", "1")).await;
    set(quota(Some(1), Some(10), Some(1_000))).await;
    let refused = try_publish(&ci, "shop", "2")
        .await
        .expect_err("too many bytes");
    assert_eq!(refused.code(), Some(Code::QuotaExceeded));
    set(quota(Some(1), Some(1_000_000), Some(0))).await;
    let refused = try_publish(&ci, "shop", "3").await.expect_err("too often");
    assert_eq!(refused.code(), Some(Code::TooMany));
    let head = admin.stack(&name("ci:shop")).await.expect("a stack").head;
    assert_eq!(
        head.expect("a head").sequence,
        1,
        "what is refused is not kept"
    );
    assert!(
        try_publish(&ci, "shop", "1")
            .await
            .expect("unchanged")
            .unchanged
    );
    try_publish(&admin, "ci:shop", "4")
        .await
        .expect("an operator may");
    broker.stop().await;
}

/// What is empty, or says only what an agent must not have, never means all; nothing of the broker's own is set.
async fn what_would_target_wrongly_is_refused(engine: Engine) {
    let scene = Scene::set(engine).await;
    create_stack(&scene.admin, "shop").await;
    let before = scene.admin.stack(&name("shop")).await.expect("a stack");
    let rule = |rule: Value| json!({"targeting": {"rules": [rule]}});
    let terms = (0..10_000)
        .map(|n| format!("k{n}=v"))
        .collect::<Vec<_>>()
        .join(",");
    let many: serde_json::Map<_, _> = (0..65).map(|n| (format!("k{n}"), json!("v"))).collect();
    for patch in [
        rule(json!({})),
        rule(json!({"labels": ""})),
        rule(json!({"labels": "!gpu"})),
        rule(json!({"labels": "env!=prod,tier notin (a)"})),
        rule(json!({"facts": "kubernetes.version>=1.30"})),
        rule(json!({"facts": "password=1", "labels": "env"})),
        rule(json!({"every_agent": true, "labels": "env"})),
        rule(json!({"labels": terms})),
        rule(json!({"labels": "env=prod; drop table agents"})),
        rule(json!({"selector": "env=prod"})),
        json!({"targeting": {"rules": [{"labels": "a"}, {"labels": "a"}]}}),
        json!({"targeting": {"exclude": [{}]}}),
        json!({"targeting": {"exclude": [{"facts": "region=eu"}]}}),
        json!({"labels": {"env": "x".repeat(64)}}),
        json!({"labels": {"-env": "prod"}}),
        json!({"labels": {"env": 7}}),
        json!({"labels": many}),
        json!({"annotations": {"note": "a\u{0}b"}}),
        json!({"annotations": {"note": "x".repeat(4_097)}}),
        json!({"revision": 1}),
        json!({"generator": "ci"}),
        json!({"head": null}),
        json!({"id": before.id}),
    ] {
        let answer = reqwest::Client::new()
            .patch(format!("{}/api/v1/stacks/shop", scene.broker.server))
            .bearer_auth(scene.admin_key.expose())
            .json(&patch)
            .send()
            .await
            .expect("an answer");
        let shown: String = patch.to_string().chars().take(80).collect();
        assert_eq!(answer.status(), 422, "{shown}");
        let problem: Value = answer.json().await.expect("a problem");
        assert_eq!(problem["code"], "invalid", "{shown}");
        assert!(
            problem["detail"]
                .as_str()
                .is_some_and(|detail| detail.len() < 1_000),
            "{shown}"
        );
    }
    assert_eq!(
        scene.admin.stack(&name("shop")).await.expect("a stack"),
        before
    );
    scene.broker.stop().await;
}
